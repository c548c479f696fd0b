//! `rustbalance invite`: a text that lets one newcomer in.

use std::path::Path;
use std::time::Duration;

use super::exit::Exit;
use super::screen::{complain, print};
use super::socket::{self, DaemonArguments};
use crate::config::{InvalidDuration, parse_duration, show_duration};
use crate::daemon::api::{Invited, Request, TTL};
use crate::ident::NodeId;

/// Let one more node in: prints a secret text for `rustbalance join`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Standard output gets the invitation and nothing else. It is a secret until it is \
                  used or has expired.\nA node that may publish gets the keys of the public \
                  addresses: whoever seizes it has them."
)]
pub(super) struct Arguments {
    /// The only name that it is good for
    #[arg(long, value_name = "NAME")]
    name: Option<NodeId>,
    /// The newcomer may publish, and gets the master keys
    #[arg(long)]
    publisher: bool,
    /// The newcomer may let others in, and gets the key that certifies members
    #[arg(long)]
    bootstrap: bool,
    /// For how long it is good: 1m to 30d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = ttl)]
    ttl: Duration,
    /// Print the invitation and what it allows as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArguments,
}

fn ttl(text: &str) -> Result<Duration, String> {
    match parse_duration(text).map_err(|error: InvalidDuration| error.to_string())? {
        ttl if TTL.contains(&ttl) => Ok(ttl),
        _ => {
            let (low, high) = (show_duration(*TTL.start()), show_duration(*TTL.end()));
            Err(format!("must be between {low} and {high}"))
        }
    }
}

pub(super) fn run(arguments: &Arguments, config: &Path) -> Exit {
    let request = Request::Invite {
        name: arguments.name.as_ref().map(ToString::to_string),
        publisher: arguments.publisher,
        bootstrap: arguments.bootstrap,
        ttl_s: arguments.ttl.as_secs(),
    };
    let answer = socket::demand::<Invited>(&arguments.daemon.path(config), &request, socket::SLOW);
    let invited = match answer {
        Ok(invited) => invited,
        Err(error) => return complain(&error.to_string(), error.exit()),
    };
    if arguments.json {
        return socket::print_json(&invited);
    }
    let exit = print(&format!("{}\n", invited.token));
    if exit == Exit::Done {
        super::screen::remark(&remark(&invited));
    }
    exit
}

fn remark(invited: &Invited) -> String {
    let whom = invited.name.as_ref().map_or("one node".to_owned(), |name| format!("node {name}"));
    let may = match (invited.publisher, invited.bootstrap) {
        (true, true) => "may publish and let others in",
        (true, false) => "may publish",
        (false, true) => "may let others in",
        (false, false) => "may serve, not publish",
    };
    let id: String = invited.id.chars().take(8).collect();
    format!(
        "For {whom}, which {may}; good until {}. Take it back: rustbalance revoke {id}",
        invited.until
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_is_good_for_a_minute_to_a_month() {
        for (text, good) in [("24h", true), ("1m", true), ("30d", true), ("59", false)] {
            assert_eq!(ttl(text).is_ok(), good, "{text}");
        }
        assert_eq!(ttl("31d").unwrap_err(), "must be between 1m and 30d");
    }

    #[test]
    fn what_it_allows_is_said() {
        let invited = Invited {
            token: "RB1.secret".to_owned(),
            id: "0808080808080808".to_owned(),
            name: Some("node-b".to_owned()),
            publisher: true,
            bootstrap: false,
            until: "2026-11-21T14:05:00Z".to_owned(),
        };
        insta::assert_snapshot!(remark(&invited), @"For node node-b, which may publish; good until 2026-11-21T14:05:00Z. Take it back: rustbalance revoke 08080808");
    }
}
