"""What Onionbalance does for a descriptor and for its hash rings, timed through its own classes.

Usage: with_onionbalance.py FOLDER, as tests/compare/both.rs fills it. Prints a JSON object: seconds of
every run, the responsible HSDirs of both descriptors, and whose points the last descriptor names.

Left out is what both programs do alike: talking to tor. Onionbalance gets the texts of the control
port from files, by a stand-in for its control connection.
"""

import json
import pathlib
import sys
import time
from importlib.metadata import version

import stem.control
import stem.version
from onionbalance.hs_v3 import descriptor, hashring, service
from onionbalance.hs_v3.consensus import Consensus
from onionbalance.hs_v3.onionbalance import my_onionbalance
from stem.descriptor.hidden_service import HiddenServiceDescriptorV3

BUILDS = 40
RINGS = 5


class ControlPort:
    """Answers from files what Onionbalance and stem ask of tor."""

    def __init__(self, folder):
        self.controller = self
        self.consensus = (folder / "consensus").read_text()
        self.microdescs = (folder / "microdescs").read_bytes()

    def get_version(self):
        return stem.version.Version("0.4.9.11")

    def get_info(self, key, get_bytes):
        assert key == "md/all" and get_bytes
        return self.microdescs

    def get_md_consensus(self):
        return self.consensus

    def get_microdescriptors(self):
        return stem.control.Controller.get_microdescriptors(self)


def timed(runs, work):
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return seconds, result


def main():
    folder = pathlib.Path(sys.argv[1])
    given = json.loads((folder / "given.json").read_text())
    my_onionbalance.controller = ControlPort(folder)
    my_onionbalance.consensus = Consensus(do_refresh_consensus=False)
    blinded = [bytes.fromhex(key) for key in given["blinded"]]

    def rings():
        my_onionbalance.consensus.refresh()
        return [hashring.get_responsible_hsdirs(blinded[0], True),
                hashring.get_responsible_hsdirs(blinded[1], False)]

    ring_s, hsdirs = timed(RINGS, rings)

    instance = (folder / "instance").read_text()
    received = descriptor.ReceivedDescriptor(instance, given["instance"])

    front = service.OnionbalanceService(
        {"key": str(folder / "master.pem"), "instances": [{"address": given["instance"]}]}, "")

    def build():
        _, period = hashring.get_srv_and_time_period(True)
        parameter = my_onionbalance.consensus.get_blinding_param(
            front._get_identity_pubkey_bytes(), period)
        built = descriptor.OBDescriptor(
            front.onion_address, front.identity_priv_key, parameter, received.get_intro_points(),
            True)
        return str(built.v3_desc)

    build_s, document = timed(BUILDS, build)
    inner = HiddenServiceDescriptorV3.from_str(document).decrypt(front.onion_address)
    print(json.dumps({
        "version": version("onionbalance"), "build_s": build_s, "ring_s": ring_s,
        "hsdirs": hsdirs,
        "auth_keys": sorted(p.auth_key_cert.key.hex() for p in inner.introduction_points)}))


main()
