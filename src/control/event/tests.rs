//! Events as tor 0.4.9 writes them, and as it never should.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::ident::{BlindedId, RelayId};

const ADDRESS: &str = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid";
const HSDIR: &str = "$ABABABABABABABABABABABABABABABABABABABAB";
/// 32 bytes of zero in base64.
const ZEROS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn event(text: &str) -> Event {
    event_with(text, None)
}

fn event_with(text: &str, data: Option<&'static str>) -> Event {
    let data = data.map(Bytes::from);
    Event::parse(Message { status: 650, lines: vec![Line { text: text.to_owned(), data }] })
}

fn desc(text: &str) -> HsDesc {
    match event(text) {
        Event::HsDesc(desc) => desc,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn every_action_of_hs_desc_is_read() {
    let hsdir = Some(RelayId([0xAB; 20]));
    let blinded = Some(BlindedId([0; 32]));
    let upload = desc(&format!(
        "HS_DESC UPLOAD {ADDRESS} UNKNOWN {HSDIR}~r1 {ZEROS} HSDIR_INDEX={}",
        "0F".repeat(32)
    ));
    assert_eq!(upload.action, HsDescAction::Upload);
    assert_eq!(upload.address.as_deref(), Some(ADDRESS));
    assert_eq!((upload.hsdir, upload.blinded), (hsdir, blinded));
    assert_eq!(upload.hsdir_index, Some([0x0F; 32]));

    let uploaded = desc(&format!("HS_DESC UPLOADED {ADDRESS} UNKNOWN {HSDIR}~r1"));
    assert_eq!(uploaded.action, HsDescAction::Uploaded);
    assert_eq!((uploaded.hsdir, uploaded.blinded), (hsdir, None));

    let failed = desc(&format!(
        "HS_DESC FAILED {ADDRESS} NO_AUTH {HSDIR}=r1 {ZEROS} REASON=UPLOAD_REJECTED"
    ));
    assert_eq!(failed.action, HsDescAction::Failed);
    assert_eq!(failed.reason, Some(HsDescReason::UploadRejected));
    assert_eq!((failed.hsdir, failed.blinded), (hsdir, blinded));

    let created = desc(&format!("HS_DESC CREATED {ADDRESS} UNKNOWN UNKNOWN {ZEROS} REPLICA=1"));
    assert_eq!(created.action, HsDescAction::Created);
    assert_eq!((created.hsdir, created.replica), (None, Some(1)));

    let nobody = desc("HS_DESC FAILED UNKNOWN UNKNOWN UNKNOWN REASON=SOMETHING_NEW");
    assert_eq!(nobody.address, None);
    assert_eq!(nobody.reason, Some(HsDescReason::Other("SOMETHING_NEW".into())));

    for (word, action) in [
        ("REQUESTED", HsDescAction::Requested),
        ("RECEIVED", HsDescAction::Received),
        ("IGNORE", HsDescAction::Ignored),
    ] {
        let seen = desc(&format!("HS_DESC {word} {ADDRESS} NO_AUTH {HSDIR}~r1 {ZEROS}"));
        assert_eq!((seen.action, seen.blinded), (action, blinded));
    }
}

#[test]
fn the_text_of_a_fetched_descriptor_is_kept_and_a_failed_fetch_has_none() {
    let line = format!("HS_DESC_CONTENT {ADDRESS} {ZEROS} {HSDIR}~r1");
    let expected = |document| {
        Event::HsDescContent(HsDescContent {
            address: ADDRESS.into(),
            blinded: Some(BlindedId([0; 32])),
            hsdir: Some(RelayId([0xAB; 20])),
            document,
        })
    };
    let document = "hs-descriptor 3\n";
    assert_eq!(event_with(&line, Some(document)), expected(Bytes::from(document)));
    assert_eq!(event_with(&line, Some("\n")), expected(Bytes::new()));
    assert!(matches!(event(&line), Event::Unparsed { .. }));
}

#[test]
fn circuits_are_read_from_events_and_from_circuit_status_alike() {
    let other = "$CDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCD";
    let line = format!(
        "7 BUILT {HSDIR}~a,{other}=b BUILD_FLAGS=IS_INTERNAL,NEED_CAPACITY \
         PURPOSE=HS_SERVICE_INTRO HS_STATE=HSSI_ESTABLISHED REND_QUERY={ADDRESS} \
         TIME_CREATED=2026-01-02T03:04:05.000000 SOCKS_USERNAME=\"a \\\" b\""
    );
    let (all, unparsed) = circuits(&format!("{line}\n\nnonsense\n8 LAUNCHED PURPOSE=GENERAL\n"));
    assert_eq!((all.len(), unparsed), (2, 1));
    assert_eq!(all[0].path, [RelayId([0xAB; 20]), RelayId([0xCD; 20])]);
    assert_eq!(all[0].address.as_deref(), Some(ADDRESS));
    assert_eq!(all[0].established_intro(), Some(RelayId([0xCD; 20])));
    assert_eq!(all[1].path, []);
    assert_eq!(event(&format!("CIRC {line}")), Event::Circuit(all[0].clone()));

    let Event::Circuit(gone) = event(&format!(
        "CIRC 7 CLOSED {HSDIR}~a PURPOSE=HS_SERVICE_INTRO HS_STATE=HSSI_ESTABLISHED \
         REASON=DESTROYED REMOTE_REASON=CHANNEL_CLOSED"
    )) else {
        panic!("a closed circuit is a circuit event")
    };
    assert_eq!(gone.established_intro(), None);
    assert_eq!(gone.reason.as_deref(), Some("DESTROYED"));
    assert_eq!(gone.remote_reason.as_deref(), Some("CHANNEL_CLOSED"));
}

#[test]
fn bootstrap_progress_is_read_from_the_event_and_from_the_phase() {
    let phase = r#"WARN BOOTSTRAP PROGRESS=10 TAG=conn_done SUMMARY="Connected to a relay" WARNING="No route" COUNT=3"#;
    let expected = ClientStatus::Bootstrap {
        progress_percent: 10,
        tag: "conn_done".into(),
        summary: "Connected to a relay".into(),
        warning: Some("No route".into()),
    };
    assert_eq!(event(&format!("STATUS_CLIENT {phase}")), Event::Status(expected.clone()));
    assert_eq!(ClientStatus::parse_bootstrap_phase(phase), Some(expected));
}

#[test]
fn short_events_are_read() {
    let arrived = Event::Status(ClientStatus::ConsensusArrived);
    assert_eq!(event("STATUS_CLIENT NOTICE CONSENSUS_ARRIVED"), arrived);
    assert_eq!(event_with("NEWCONSENSUS", Some("r a b\n")), arrived);
    assert_eq!(
        event("STATUS_CLIENT NOTICE ENOUGH_DIR_INFO"),
        Event::Status(ClientStatus::EnoughDirInfo)
    );
    assert_eq!(event("NETWORK_LIVENESS DOWN"), Event::NetworkLiveness { up: false });
    assert_eq!(event("NETWORK_LIVENESS UP"), Event::NetworkLiveness { up: true });
    assert_eq!(event("SIGNAL RELOAD"), Event::Signal("RELOAD".into()));
}

#[test]
fn what_is_not_understood_is_kept_shortened() {
    let short = format!("{}.onion", &ADDRESS[1..]);
    for line in [
        "",
        "BW 1 2",
        "HS_DESC",
        "HS_DESC MELTED a b c",
        "HS_DESC UPLOADED",
        "CIRC",
        "CIRC 7",
        "CIRC 7 MELTED",
        "CIRC 7 BUILT $nonsense",
        "STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=101 TAG=x",
        "STATUS_CLIENT LOUD CONSENSUS_ARRIVED",
        "NETWORK_LIVENESS",
        "SIGNAL",
        &format!("HS_DESC UPLOADED {short} UNKNOWN {HSDIR}~r1"),
        &format!("HS_DESC UPLOADED {ADDRESS} UNKNOWN $00~r1"),
        &format!("HS_DESC UPLOAD {ADDRESS} UNKNOWN {HSDIR}~r1 notbase64!"),
        &format!("HS_DESC CREATED {ADDRESS} UNKNOWN UNKNOWN {ZEROS} REPLICA=-"),
    ] {
        let shown = crate::hs::address::shorten_all(line);
        assert_eq!(event(line), Event::Unparsed { line: shown });
    }
    let Event::Unparsed { line } = event(&"é".repeat(1000)) else { panic!("not understood") };
    assert_eq!(line.chars().count(), UNPARSED_MAX_CHARS);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(
        keyword in prop::sample::select(vec![
            "HS_DESC FAILED", "HS_DESC_CONTENT", "CIRC 1 BUILT", "STATUS_CLIENT WARN BOOTSTRAP", "",
        ]),
        rest in r#"( |=|\$|"|\\|~|,|[A-Z_0-9]{1,5}|\PC){0,60}"#,
    ) {
        event_with(&format!("{keyword} {rest}"), Some("x\n"));
        circuits(&rest);
    }
}
