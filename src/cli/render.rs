//! The status document as an operator reads it: one verdict line, one row per front, one line per
//! descriptor, problems last. `?` is not known, `-` does not apply. Pure: a document and what the
//! terminal can show go in, text comes out.

use super::screen::Screen;
use crate::status::{
    Descriptor, Front, FrontKind, HsDirState, SCHEMA, Service, SlotName, Status, TorState, Verdict,
};
use crate::telemetry::{HIDDEN, shorten};

mod nagios;
mod nodes;
mod problems;
mod sums;
mod text;
mod tokens;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub(super) use nagios::nagios;
pub(super) use tokens::tokens;

use sums::Sums;
use text::{Paint, age, clean, count, finish, or_unknown, table};

/// The most introduction points a descriptor may name.
const INTRO_POINTS_MAX: usize = crate::ident::INTRO_POINTS_MAX;

/// The screen for `status`, with a newline at its end.
pub(super) fn status(status: &Status, screen: Screen) -> String {
    let paint = Paint { colour: screen.colour };
    let mut lines = vec![verdict_line(status, paint)];
    lines.extend(status.services.iter().map(|service| onion_line(status, service)));
    lines.extend(schema_line(status));
    lines.extend(tor_line(status));
    if verdict(status) == Verdict::Partitioned {
        let caution = "  !! This is one side's view. What the others do is not known here.";
        lines.push(caution.to_owned());
    }
    if !status.nodes.is_empty() {
        lines.push(String::new());
        lines.extend(table(&nodes::rows(status)));
    } else if !status.fronts.is_empty() {
        lines.push(String::new());
        lines.extend(front_rows(status));
    }
    for service in &status.services {
        lines.push(String::new());
        if status.services.len() > 1 {
            lines.push(format!("  {}", onion(&service.onion)));
        }
        lines.extend(service.descriptors.iter().flat_map(descriptor_lines));
        if service.descriptors.is_empty() {
            lines.push("  no descriptor was made yet".to_owned());
        }
    }
    lines.extend(problems::lines(&status.checks, paint));
    finish(&lines, screen.unicode)
}

/// The verdict of this program, or of the daemon where that is worse.
fn verdict(status: &Status) -> Verdict {
    let own = crate::status::verdict(status);
    match status.health {
        crate::status::Health::Crit if own == Verdict::Partitioned => own,
        crate::status::Health::Crit => Verdict::Down,
        crate::status::Health::Warn => own.max(Verdict::Starting),
        crate::status::Health::Ok => own,
    }
}

fn verdict_line(status: &Status, paint: Paint) -> String {
    let verdict = verdict(status);
    let mark = match verdict {
        Verdict::Healthy => "●",
        Verdict::Starting | Verdict::Degraded => "▲",
        Verdict::Partitioned | Verdict::Down => "✖",
    };
    let health = verdict.health();
    let name = clean(status.cluster.as_deref().unwrap_or(&status.node));
    let sums = Sums::of(status);
    let there = match (sums.nodes, verdict) {
        (0, _) => format!("{} of {} fronts serving", sums.fronts_serving, sums.fronts),
        (nodes, Verdict::Partitioned) => format!("{} of {nodes} nodes in sight", sums.nodes_up),
        (nodes, _) => format!("{} of {nodes} nodes up", sums.nodes_up),
    };
    format!(
        "{} {name}  {}   {there} · {} · {}",
        paint.by(health, mark),
        paint.by(health, verdict.word()),
        publisher(status),
        coverage(&sums),
    )
}

fn publisher(status: &Status) -> String {
    let publishing = status.services.iter().filter(|service| service.publishing).count();
    match publishing {
        0 => "not publishing".to_owned(),
        n if n == status.services.len() => "publishing".to_owned(),
        n => format!("publishing {n} of {} services", status.services.len()),
    }
}

fn coverage(sums: &Sums) -> String {
    let (confirmed, target) = (sums.hsdirs_confirmed, count(sums.hsdirs_target));
    match sums.oldest_s {
        None if sums.descriptors == 0 => "no descriptor yet".to_owned(),
        None if sums.confirmed_any => {
            format!("descriptor confirmed in part, on {confirmed}/{target} HSDirs")
        }
        None => format!("descriptor not confirmed yet, {confirmed}/{target} HSDirs"),
        Some(oldest_s) => {
            format!("descriptor {} old, confirmed on {confirmed}/{target} HSDirs", age(oldest_s))
        }
    }
}

fn onion_line(status: &Status, service: &Service) -> String {
    let facing = service.descriptors.iter().find(|d| d.client_facing == Some(true));
    let confirmed = facing.filter(|descriptor| descriptor.age_s.is_some());
    let points = or_unknown(confirmed.and_then(|descriptor| descriptor.intro_points));
    // RFC 3339 in whole seconds, UTC: the time of day stands between T and Z.
    let as_of = clean(&status.as_of);
    let moment = as_of.strip_suffix('Z').and_then(|text| text.split_once('T'));
    let moment = moment.map_or(as_of.clone(), |(_, time)| format!("{time} UTC"));
    format!(
        "  onion     {}      intro points {points} of max {INTRO_POINTS_MAX}      \
         as seen by {}, {moment}",
        onion(&service.onion),
        clean(&status.node),
    )
}

fn onion(address: &str) -> String {
    match shorten(address) {
        hidden if hidden == HIDDEN => clean(address),
        shortened => shortened,
    }
}

fn schema_line(status: &Status) -> Option<String> {
    (status.schema > SCHEMA).then(|| {
        format!(
            "  !! The daemon is newer (schema {}) than this program (schema {SCHEMA}), which may \
             miss things.",
            status.schema
        )
    })
}

/// Says what is the matter with tor; nothing when it is well.
fn tor_line(status: &Status) -> Option<String> {
    let tor = &status.tor;
    let bootstrap = tor.bootstrap_percent.filter(|percent| *percent < 100);
    let bootstrap = bootstrap.map(|percent| format!("bootstrap {percent} %"));
    if tor.state == TorState::Up && bootstrap.is_none() {
        return None;
    }
    let mut parts = vec![match tor.since_s {
        Some(since_s) => format!("{} for {}", tor_word(tor.state), age(since_s)),
        None => tor_word(tor.state).to_owned(),
    }];
    parts.extend(bootstrap);
    parts.extend(tor.last_error.as_deref().map(clean));
    Some(format!("  tor       {}", parts.join(" · ")))
}

fn tor_word(state: TorState) -> &'static str {
    match state {
        TorState::Up => "up",
        TorState::Down => "down",
        TorState::Connecting => "connecting",
        TorState::Other => "?",
    }
}

fn front_rows(status: &Status) -> Vec<String> {
    let header = ["", "NODE", "ROLE", "STATE", "SEEN", "INTRO", "IN DESC", "TOR"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(status.fronts.iter().map(|front| front_row(status, front)));
    table(&rows)
}

fn front_row(status: &Status, front: &Front) -> Vec<String> {
    let is_self = front.kind == FrontKind::Node && front.name == status.node;
    let role = match front.kind {
        FrontKind::Node if !is_self => "?",
        FrontKind::Node if status.services.iter().any(|service| service.publishing) => "publisher",
        FrontKind::Node => "standby",
        FrontKind::Backend => "backend",
        FrontKind::Other => "?",
    };
    let seen = match is_self {
        true => "-".to_owned(),
        false => front.roster_age_s.map_or("?".to_owned(), age),
    };
    let established = match front.kind {
        FrontKind::Backend => "-".to_owned(),
        _ => or_unknown(front.intro_established),
    };
    let tor = match front.kind {
        FrontKind::Backend => "-",
        _ if !is_self => "?",
        _ if status.tor.state == TorState::Up => "ok",
        _ => tor_word(status.tor.state),
    };
    vec![
        if is_self { "*" } else { "" }.to_owned(),
        clean(&front.name),
        role.to_owned(),
        nodes::front_state(front.state).to_owned(),
        seen,
        format!("{established}/{}", or_unknown(front.intro_wanted)),
        or_unknown(front.intro_in_descriptor),
        tor.to_owned(),
    ]
}

fn descriptor_lines(descriptor: &Descriptor) -> Vec<String> {
    let slot = match descriptor.slot {
        SlotName::First => "first",
        SlotName::Second => "second",
    };
    let target = count(descriptor.hsdirs_target);
    let mut parts = vec![format!("{}/{target} HSDirs", descriptor.hsdirs_confirmed)];
    parts.push(match descriptor.age_s {
        Some(age_s) => format!("confirmed {} ago", age(age_s)),
        None => "not confirmed yet".to_owned(),
    });
    parts.extend(descriptor.next_refresh_s.map(|s| format!("next refresh in {}", age(s))));
    let facing = match descriptor.client_facing {
        Some(true) => " · clients fetch this one",
        _ => "",
    };
    let mut lines = vec![format!("  {slot:<8}  {}{facing}", parts.join(", "))];
    let unfinished = unfinished(descriptor);
    if !unfinished.is_empty() {
        lines.push(format!("{:12}{}", "", unfinished.join(", ")));
    }
    lines
}

/// What the HSDirs that have not confirmed are doing.
fn unfinished(descriptor: &Descriptor) -> Vec<String> {
    let of = |state: HsDirState| descriptor.hsdirs.iter().filter(move |dir| dir.state == state);
    let mut parts = Vec::new();
    for (state, word) in [(HsDirState::Uploading, "uploading"), (HsDirState::Waiting, "waiting")] {
        let n = of(state).count();
        if n > 0 {
            parts.push(format!("{n} {word}"));
        }
    }
    let failed = of(HsDirState::Failed).count();
    if failed > 0 {
        let last = of(HsDirState::Failed).find_map(|dir| dir.last_result.as_deref());
        let reason = last.map_or_else(String::new, |last| format!(" ({})", clean(last)));
        let next = of(HsDirState::Failed).filter_map(|dir| dir.next_try_s).min();
        let next = next.map_or_else(String::new, |s| format!(" again in {}", age(s)));
        parts.push(format!("{failed} failed{reason}{next}"));
    }
    parts
}
