use super::*;

const UNICODE: Screen = Screen { colour: false, unicode: true };

fn shown(document: &Status) -> String {
    status(document, UNICODE)
}

#[test]
fn healthy() {
    insta::assert_snapshot!(shown(&samples::healthy()), @r#"
    ● node-a  HEALTHY   3 of 3 fronts serving · publishing · descriptor 4m old, confirmed on 16/16 HSDirs
      onion     newsroomx4k2…q7ad.onion      intro points 6 of max 20      as seen by node-a, 14:05:03 UTC

      NODE      ROLE       STATE    SEEN  INTRO  IN DESC  TOR
    * node-a    publisher  serving  -     3/3    2        ok
      old-web1  backend    serving  41s   -/3    2        -
      old-web2  backend    serving  4m    -/3    2        -

      first     8/8 HSDirs, confirmed 4m ago, next refresh in 54m · clients fetch this one
      second    8/8 HSDirs, confirmed 4m ago, next refresh in 1h12m
    "#);
}

#[test]
fn starting() {
    insta::assert_snapshot!(shown(&samples::starting()), @r#"
    ▲ node-a  STARTING   0 of 3 fronts serving · publishing · no descriptor yet
      onion     newsroomx4k2…q7ad.onion      intro points ? of max 20      as seen by node-a, 14:05:03 UTC
      tor       connecting for 2s · bootstrap 45 %

      NODE      ROLE       STATE  SEEN  INTRO  IN DESC  TOR
    * node-a    publisher  ?      -     ?/?    ?        connecting
      old-web1  backend    ?      ?     -/?    ?        -
      old-web2  backend    ?      ?     -/?    ?        -

      no descriptor was made yet
    "#);
}

#[test]
fn tor_down() {
    insta::assert_snapshot!(shown(&samples::tor_down()), @r#"
    ▲ node-a  DEGRADED   2 of 3 fronts serving · publishing · descriptor 4m old, confirmed on 16/16 HSDirs
      onion     newsroomx4k2…q7ad.onion      intro points 6 of max 20      as seen by node-a, 14:05:03 UTC
      tor       down for 2m14s · /run/tor/control: connection refused

      NODE      ROLE       STATE    SEEN  INTRO  IN DESC  TOR
    * node-a    publisher  GONE     -     0/3    2        down
      old-web1  backend    serving  41s   -/3    2        -
      old-web2  backend    serving  4m    -/3    2        -

      first     8/8 HSDirs, confirmed 4m ago, next refresh in 54m · clients fetch this one
      second    8/8 HSDirs, confirmed 4m ago, next refresh in 1h12m

    1 problem:
      WARN  TOR_DOWN  tor's control port does not answer, so nothing can be published. Visitors are served by
                      the other fronts while the descriptor lives. (for 2m14s)
            → systemctl status tor@rustbalance tor@default
    "#);
}

#[test]
fn backend_gone() {
    insta::assert_snapshot!(shown(&samples::backend_gone()), @r#"
    ▲ node-a  DEGRADED   2 of 3 fronts serving · publishing · descriptor 4m old, confirmed on 16/16 HSDirs
      onion     newsroomx4k2…q7ad.onion      intro points 6 of max 20      as seen by node-a, 14:05:03 UTC

      NODE      ROLE       STATE    SEEN  INTRO  IN DESC  TOR
    * node-a    publisher  serving  -     3/3    2        ok
      old-web1  backend    serving  41s   -/3    2        -
      old-web2  backend    GONE     31m   -/0    0        -

      first     8/8 HSDirs, confirmed 4m ago, next refresh in 54m · clients fetch this one
      second    8/8 HSDirs, confirmed 4m ago, next refresh in 1h12m

    1 problem:
      WARN  BACKEND_GONE  old-web2: no HSDir has its descriptor any more; its 2 introduction points left ours.
                          (for 21m)
            → on old-web2: systemctl status tor@default
            → never coming back: remove its [[backend]] and restart rustbalance
    "#);
}

#[test]
fn some_hsdirs_missing() {
    insta::assert_snapshot!(shown(&samples::partial()), @r#"
    ▲ node-a  DEGRADED   3 of 3 fronts serving · publishing · descriptor 4m old, confirmed on 12/16 HSDirs
      onion     newsroomx4k2…q7ad.onion      intro points 6 of max 20      as seen by node-a, 14:05:03 UTC

      NODE      ROLE       STATE    SEEN  INTRO  IN DESC  TOR
    * node-a    publisher  serving  -     3/3    2        ok
      old-web1  backend    serving  41s   -/3    2        -
      old-web2  backend    serving  4m    -/3    2        -

      first     4/8 HSDirs, confirmed 4m ago, next refresh in 54m · clients fetch this one
                1 uploading, 1 waiting, 2 failed (timeout) again in 3m
      second    8/8 HSDirs, confirmed 4m ago, next refresh in 1h12m
    "#);
}

#[test]
fn nothing_confirmed() {
    insta::assert_snapshot!(shown(&samples::nothing_confirmed()), @r#"
    ✖ node-a  DOWN   3 of 3 fronts serving · publishing · descriptor not confirmed yet, 0/16 HSDirs
      onion     newsroomx4k2…q7ad.onion      intro points ? of max 20      as seen by node-a, 14:05:03 UTC

      NODE      ROLE       STATE    SEEN  INTRO  IN DESC  TOR
    * node-a    publisher  serving  -     3/3    0        ok
      old-web1  backend    serving  41s   -/3    0        -
      old-web2  backend    serving  4m    -/3    0        -

      first     0/8 HSDirs, not confirmed yet · clients fetch this one
                8 failed
      second    0/8 HSDirs, not confirmed yet
                8 failed

    1 problem:
      CRIT  PUBLISH_FAILED  no HSDir took the descriptor: visitors cannot find the service.
    "#);
}

#[test]
fn two_services_are_told_apart() {
    let mut document = samples::healthy();
    let other = Service::new("aaaaaaaaaaaa…bbbb.onion", false);
    document.services.push(other);
    insta::assert_snapshot!(shown(&document.conclude()), @r#"
    ✖ node-a  DOWN   3 of 3 fronts serving · publishing 1 of 2 services · descriptor 4m old, confirmed on 16/16 HSDirs
      onion     newsroomx4k2…q7ad.onion      intro points 6 of max 20      as seen by node-a, 14:05:03 UTC
      onion     aaaaaaaaaaaa…bbbb.onion      intro points ? of max 20      as seen by node-a, 14:05:03 UTC

      NODE      ROLE       STATE    SEEN  INTRO  IN DESC  TOR
    * node-a    publisher  serving  -     3/3    2        ok
      old-web1  backend    serving  41s   -/3    2        -
      old-web2  backend    serving  4m    -/3    2        -

      newsroomx4k2…q7ad.onion
      first     8/8 HSDirs, confirmed 4m ago, next refresh in 54m · clients fetch this one
      second    8/8 HSDirs, confirmed 4m ago, next refresh in 1h12m

      aaaaaaaaaaaa…bbbb.onion
      no descriptor was made yet
    "#);
}

#[test]
fn a_cluster_in_which_all_is_well() {
    insta::assert_snapshot!(shown(&samples::cluster()), @r#"
    ● newsroom  HEALTHY   3 of 3 nodes up · publishing · descriptor 4m old, confirmed on 16/16 HSDirs
      onion     newsroomx4k2…q7ad.onion      intro points 6 of max 20      as seen by node-a, 14:05:03 UTC

      NODE      ROLE       STATE    SEEN  PATH  RTT   INTRO  IN DESC  TOR  APP  CLOCK  VERSION
    * node-a    publisher  alive    -     -     -     3/3    2        ok   ?    -      1.0.0
      node-b    ?          alive    2s    wg    14ms  3/3    2        ok   ok   +0s    1.0.0
      node-c    front      alive    6s    wg    38ms  3/3    2        ok   ok   +0s    1.0.0
      old-web1  backend    serving  41s   -     -     -/3    2        -    -    -      -

      first     8/8 HSDirs, confirmed 4m ago, next refresh in 54m · clients fetch this one
      second    8/8 HSDirs, confirmed 4m ago, next refresh in 1h12m
    "#);
}

#[test]
fn a_cluster_with_a_dead_a_suspect_and_a_departed_node() {
    insta::assert_snapshot!(shown(&samples::cluster_in_trouble()), @r#"
    ▲ newsroom  DEGRADED   1 of 3 nodes up · publishing · descriptor 4m old, confirmed on 16/16 HSDirs
      onion     newsroomx4k2…q7ad.onion      intro points 6 of max 20      as seen by node-a, 14:05:03 UTC

      NODE      ROLE       STATE        SEEN   PATH  RTT   INTRO  IN DESC  TOR  APP  CLOCK  VERSION
    * node-a    publisher  alive        -      -     -     3/3    2        ok   ?    -      1.0.0
      node-b    ?          suspect 2/3  5s     tor   1.9s  3/3    2        ok   ok   -31s   1.0.0
      node-c    -          DEAD         2m14s  none  -     ?      0        ?    ?    ?      1.0.0
      node-d    -          left         ?      -     -     ?      ?        ?    ?    ?      ?
      old-web1  backend    serving      41s    -     -     -/3    2        -    -    -      -

      first     8/8 HSDirs, confirmed 4m ago, next refresh in 54m · clients fetch this one
      second    8/8 HSDirs, confirmed 4m ago, next refresh in 1h12m

    1 problem:
      WARN  PEER_DEAD  node-c: silent for 2m14s on WireGuard and on Tor. Its intro points are not in the
                       descriptor. Visitors are served by the other nodes.
            → on node-c: systemctl status rustbalance tor@rustbalance
            → never coming back: rustbalance remove node-c
    "#);
}

#[test]
fn one_side_of_a_partition() {
    insta::assert_snapshot!(shown(&samples::partitioned()), @r#"
    ✖ newsroom  PARTITIONED   1 of 3 nodes in sight · publishing · descriptor 4m old, confirmed on 16/16 HSDirs
      onion     newsroomx4k2…q7ad.onion      intro points 6 of max 20      as seen by node-a, 14:05:03 UTC
      !! This is one side's view. What the others do is not known here.

      NODE      ROLE       STATE    SEEN  PATH  RTT  INTRO  IN DESC  TOR  APP  CLOCK  VERSION
    * node-a    publisher  alive    -     -     -    3/3    2        ok   ?    -      1.0.0
      node-b    -          DEAD     3m    none  -    ?      0        ?    ?    ?      1.0.0
      node-c    -          DEAD     3m    none  -    ?      0        ?    ?    ?      1.0.0
      old-web1  backend    serving  41s   -     -    -/3    2        -    -    -      -

      first     8/8 HSDirs, confirmed 4m ago, next refresh in 54m · clients fetch this one
      second    8/8 HSDirs, confirmed 4m ago, next refresh in 1h12m

    1 problem:
      CRIT  PARTITION  no peer in sight but Tor works here (bootstrap 100 %), so the others are probably alive.
                       (for 3m)
            → from another network: ask node-b and node-c for their status
    "#);
}

#[test]
fn monitoring_is_told_of_nodes_where_there_is_a_cluster() {
    let (line, code) = nagios(&samples::cluster_in_trouble());
    assert_eq!(code, 1);
    insta::assert_snapshot!(line, @"RUSTBALANCE WARNING - newsroom: 1/3 nodes up, publishing, descriptor 4m, PEER_DEAD node-c | nodes_up=1;3:;1: descriptor_age=253s;8400;9600 hsdirs=16;16:;1: intro_points=6");
}

#[test]
fn a_problem_names_its_subject_once() {
    let mut document = samples::backend_gone();
    let with_prefix = shown(&document);
    document.checks[0].message = format!("old-web2: {}", document.checks[0].message);
    assert_eq!(shown(&document), with_prefix);
}

#[test]
fn a_document_of_a_later_schema_is_shown_with_a_warning() {
    let mut document = samples::healthy();
    document.schema = SCHEMA + 1;
    let screen = shown(&document);
    assert!(screen.contains("!! The daemon is newer (schema 2)"), "{screen}");
    assert!(screen.contains("DEGRADED"), "{screen}");
}

#[test]
fn the_daemon_s_own_verdict_counts_where_it_is_worse() {
    let mut document = samples::healthy();
    document.health = crate::status::Health::Crit;
    assert!(shown(&document).starts_with("✖ node-a  DOWN"));
}

#[test]
fn without_utf_8_everything_is_ascii_and_without_colour_nothing_is_escaped() {
    for document in [samples::healthy(), samples::backend_gone(), samples::tor_down()] {
        let plain = status(&document, Screen { colour: false, unicode: false });
        assert!(plain.is_ascii());
        assert!(!plain.contains(['?', '\x1b']));
        let coloured = status(&document, Screen { colour: true, unicode: false });
        assert!(coloured.contains("\x1b[1;"));
    }
}

#[test]
fn no_line_is_wider_than_110_columns() {
    for document in [
        samples::healthy(),
        samples::starting(),
        samples::tor_down(),
        samples::backend_gone(),
        samples::partial(),
        samples::nothing_confirmed(),
        samples::cluster(),
        samples::cluster_in_trouble(),
        samples::partitioned(),
    ] {
        for line in shown(&document).lines() {
            assert!(line.chars().count() <= 110, "{line}");
        }
    }
}

#[test]
fn what_the_document_says_cannot_command_the_terminal() {
    let mut document = samples::tor_down();
    document.node = "a\x1b[2J".to_owned();
    document.as_of = "\x07".to_owned();
    document.tor.last_error = Some("\x1b]0;x\x07".to_owned());
    document.checks[0].code = "\x1b".to_owned();
    document.fronts[1].name = "\u{9b}31m".to_owned();
    document.services[0].onion = "\x1b[31m".to_owned();
    let mut cluster = samples::cluster();
    cluster.nodes[1].version = Some("\x1b[2J".to_owned());
    cluster.nodes[1].name = "\x07".to_owned();
    let screen = shown(&document) + &shown(&cluster);
    assert!(screen.chars().all(|c| c == '\n' || !c.is_control()), "{screen:?}");
}

#[test]
fn monitoring_gets_one_line_and_a_code() {
    let lines = [samples::healthy(), samples::backend_gone(), samples::nothing_confirmed()]
        .map(|document| nagios(&document));
    assert_eq!(lines.each_ref().map(|(_, code)| *code), [0, 1, 2]);
    insta::assert_snapshot!(lines.map(|(line, _)| line).join("\n"), @r#"
    RUSTBALANCE OK - node-a: 3/3 fronts serving, publishing, descriptor 4m | fronts_serving=3;3:;1: descriptor_age=253s;8400;9600 hsdirs=16;16:;1: intro_points=6
    RUSTBALANCE WARNING - node-a: 2/3 fronts serving, publishing, descriptor 4m, BACKEND_GONE old-web2 | fronts_serving=2;3:;1: descriptor_age=253s;8400;9600 hsdirs=16;16:;1: intro_points=6
    RUSTBALANCE CRITICAL - node-a: 3/3 fronts serving, publishing, descriptor not confirmed, PUBLISH_FAILED | fronts_serving=3;3:;1: descriptor_age=U;8400;9600 hsdirs=0;16:;1: intro_points=U
    "#);
}
