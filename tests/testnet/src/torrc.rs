//! The configuration files of the network's tors.

use std::fmt::Write as _;
use std::path::Path;

use crate::site::Site;

/// Seconds for the votes, and again for the signatures, to travel between authorities.
pub(crate) fn delay_s(voting_interval_s: u64) -> u64 {
    (voting_interval_s / 5).max(2)
}

/// What keeps every tor in this network, and small.
///
/// An own `DirAuthority` and `Address 127.0.0.1` are what stands between a test and the public
/// network; the outbound address is loopback too, so that even a mistake would not leave.
pub(crate) fn common(site: &Site, directory: &Path) -> String {
    let directory = directory.display();
    let empty = site.empty_file();
    let empty = empty.display();
    let authorities = &site.authorities;
    format!(
        "TestingTorNetwork 1\n\
         {authorities}\
         Address 127.0.0.1\n\
         OutboundBindAddress 127.0.0.1\n\
         UseDefaultFallbackDirs 0\n\
         DataDirectory {directory}\n\
         ControlSocket {directory}/control\n\
         CookieAuthentication 1\n\
         CookieAuthFile {directory}/cookie\n\
         Log notice stdout\n\
         SafeLogging 0\n\
         LogTimeGranularity 1\n\
         GeoIPFile {empty}\n\
         GeoIPv6File {empty}\n\
         AssumeReachable 1\n\
         EnforceDistinctSubnets 0\n\
         PathsNeededToBuildCircuits 0.67\n\
         ShutdownWaitLength 0\n\
         NumCPUs 1\n\
         MaxMemInQueues 256 MB\n\
         TestingDirConnectionMaxStall 10 seconds\n"
    )
}

/// What makes a tor a relay, and an HSDir.
pub(crate) fn relay(nickname: &str, or_port: u16) -> String {
    format!(
        "Nickname {nickname}\n\
         ORPort 127.0.0.1:{or_port}\n\
         SocksPort 0\n\
         ExitRelay 0\n\
         ExitPolicy reject *:*\n\
         ContactInfo none\n"
    )
}

/// What makes a relay an authority.
///
/// Circuits on loopback take milliseconds; a client that learnt such a time would give up on a busy
/// machine, hence the floor under the circuit build time-out.
pub(crate) fn authority(site: &Site, dir_port: u16, consensus_params: &[String]) -> String {
    let voting_interval_s = site.voting_interval_s;
    let bandwidths = site.bandwidth_file();
    let bandwidths = bandwidths.display();
    let consensus_params = consensus_params.join(" ");
    let delay_s = delay_s(voting_interval_s);
    let period_min = 24 * voting_interval_s / 60;
    format!(
        "DirPort 127.0.0.1:{dir_port}\n\
         AuthoritativeDirectory 1\n\
         V3AuthoritativeDirectory 1\n\
         TestingV3AuthInitialVotingInterval {voting_interval_s} seconds\n\
         TestingV3AuthInitialVoteDelay {delay_s} seconds\n\
         TestingV3AuthInitialDistDelay {delay_s} seconds\n\
         V3AuthVotingInterval {voting_interval_s} seconds\n\
         V3AuthVoteDelay {delay_s} seconds\n\
         V3AuthDistDelay {delay_s} seconds\n\
         TestingDirAuthVoteExit *\n\
         TestingDirAuthVoteHSDir *\n\
         TestingDirAuthVoteGuard *\n\
         MinUptimeHidServDirectoryV2 0\n\
         AuthDirVoteStableGuaranteeMinUptime 0\n\
         AuthDirVoteStableGuaranteeMTBF 0\n\
         V3BandwidthsFile {bandwidths}\n\
         ConsensusParams hsdir_interval={period_min} cbtmintimeout=4000 cbtinitialtimeout=6000 \
         {consensus_params}\n"
    )
}

/// What makes a tor a client whose SOCKS answers say why an onion service was not reached.
pub(crate) fn client(socks_port: u16) -> String {
    format!("ClientOnly 1\nConfluxEnabled 0\nSocksPort 127.0.0.1:{socks_port} ExtendedErrors\n")
}

/// The service of a front: one HTTP port, in instance mode or plain.
pub(crate) fn service(
    directory: &Path,
    backend_port: u16,
    intro_points: usize,
    instance: bool,
) -> String {
    let mut text = format!(
        "PublishHidServDescriptors 1\n\
         HiddenServiceDir {}\n\
         HiddenServiceVersion 3\n\
         HiddenServicePort 80 127.0.0.1:{backend_port}\n\
         HiddenServiceNumIntroductionPoints {intro_points}\n",
        directory.display()
    );
    if instance {
        writeln!(text, "HiddenServiceOnionBalanceInstance 1").expect("a string grows");
    }
    text
}
