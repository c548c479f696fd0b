//! A cluster of a victim and a witness, to which a traitor may belong, and what both must show.

use serde_json::Value;

use crate::enemy::Enemy;
use crate::loot::Loot;
use crate::yard::{Machine, Plan, Yard, entry, wait_agreed};

/// Two nodes that must not notice anything of each other's trouble.
pub(crate) struct Scene {
    pub(crate) yard: Yard,
    /// May let others in and publish.
    pub(crate) victim: Machine,
    pub(crate) witness: Machine,
    marks: [usize; 2],
}

pub(crate) const VICTIM: &str = "victim";
pub(crate) const WITNESS: &str = "witness";
pub(crate) const TRAITOR: &str = "traitor";

fn plan(name: &str) -> Plan {
    Plan::new(name).line("[node]", "log_level = \"debug\"")
}

impl Scene {
    pub(crate) fn new() -> Scene {
        Scene::of(plan(VICTIM))
    }

    /// The others' way to the victim is a relay, which records.
    pub(crate) fn relayed() -> Scene {
        Scene::of(plan(VICTIM).relayed())
    }

    fn of(victim: Plan) -> Scene {
        let yard = Yard::new();
        let victim = yard.founder(victim);
        victim.relay.iter().for_each(testnet::UdpRelay::record);
        let witness = yard.joined(&victim, &["--publisher"], plan(WITNESS));
        wait_agreed(&[&victim, &witness]);
        wait_quick(&victim, &witness);
        wait_quick(&witness, &victim);
        let marks = [victim.mark(), witness.mark()];
        Scene { yard, victim, witness, marks }
    }

    /// One more member.
    pub(crate) fn member(&self, name: &str, rights: &[&str]) -> Machine {
        let machine = self.yard.joined(&self.victim, rights, plan(name));
        self.witness.wait_sees(&machine, "alive");
        self.victim.wait_sees(&machine, "alive");
        machine.wait_sees(&self.witness, "alive");
        machine
    }

    /// The member that the enemy is.
    pub(crate) fn traitor(&self, rights: &[&str]) -> (Enemy, Loot) {
        self.seized(TRAITOR, rights)
    }

    /// A member with these rights whose machine stands still and whose files the enemy has.
    pub(crate) fn seized(&self, name: &str, rights: &[&str]) -> (Enemy, Loot) {
        let machine = self.member(name, rights);
        machine.node.kill();
        let loot = Loot::of(&machine);
        (Enemy::member(self, &loot), loot)
    }

    /// A stranger who knows the victim's key and address, and the cluster's name.
    pub(crate) fn stranger(&self) -> Enemy {
        Enemy::stranger(self)
    }

    /// Waits until the victim has refused so much, says so in status, and once in the log.
    #[track_caller]
    pub(crate) fn refused(&self, who: Option<&str>, why: &str, least: u64) -> Value {
        let status = self.victim.wait(&format!("refusing {who:?} {why} {least} times"), |status| {
            refusals(status, who, why) >= least
        });
        let line =
            format!("Refused a message from {} over WireGuard: {why}", who.unwrap_or("a stranger"));
        self.victim.wait_log(self.marks[0], &line);
        let told = self.victim.news(self.marks[0]).matches(&line).count();
        assert_eq!(told, 1, "{line}");
        status
    }

    /// The status names the traitor as a problem.
    #[track_caller]
    pub(crate) fn blamed(&self, why: &str) {
        self.victim.wait(&format!("blaming the traitor for {why}"), |status| {
            status["checks"].as_array().into_iter().flatten().any(|check| {
                check["code"] == "FRAMES_REFUSED"
                    && check["severity"] == "warn"
                    && check["subject"] == TRAITOR
                    && check["message"].as_str().is_some_and(|text| text.contains(why))
            })
        });
    }

    /// Victim and witness have heard each other all the time, and quickly.
    #[track_caller]
    pub(crate) fn calm(&self) {
        let pairs = [(&self.victim, &self.witness), (&self.witness, &self.victim)];
        for ((one, other), mark) in pairs.into_iter().zip(self.marks) {
            let status = one.wait_sees(other, "alive");
            assert!(answers_quickly(&status, other), "{} is slow: {status:#}", other.name);
            let news = one.news(mark);
            let missed = format!("Peer {} missed", other.name);
            let dead = format!("Peer {} declared DEAD", other.name);
            for bad in [missed.as_str(), &dead, "ERROR", "panicked"] {
                assert!(!news.contains(bad), "{} says {bad:?}:\n{news}", one.name);
            }
        }
    }

    pub(crate) fn victims_news(&self) -> String {
        self.victim.news(self.marks[0])
    }
}

/// The last round trip took a fraction of the time after which a heartbeat is tried again.
fn answers_quickly(status: &Value, peer: &Machine) -> bool {
    entry(status, &peer.name)["rtt_s"].as_f64().is_some_and(|rtt| rtt < 0.3)
}

/// The first heartbeats wait for handshakes that cross.
fn wait_quick(one: &Machine, other: &Machine) {
    one.wait("answered quickly", |status| answers_quickly(status, other));
}

/// How often `who` was refused because of `why`, as the status document says.
pub(crate) fn refusals(status: &Value, who: Option<&str>, why: &str) -> u64 {
    let all = status["refused"].as_array().into_iter().flatten();
    let of = all.filter(|refused| {
        let reason = refused["reason"].as_str();
        refused["peer"].as_str() == who && reason.is_some_and(|reason| reason.contains(why))
    });
    of.filter_map(|refused| refused["count"].as_u64()).sum()
}

/// Names of the nodes in a status document.
pub(crate) fn names(status: &Value) -> Vec<String> {
    let nodes = status["nodes"].as_array().into_iter().flatten();
    nodes.filter_map(|node| node["name"].as_str().map(str::to_owned)).collect()
}
