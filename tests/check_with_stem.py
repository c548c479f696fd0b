"""Reads a version 3 descriptor on standard input as an implementation that shares no code with us.

Usage: check_with_stem.py ADDRESS, with .onion. Prints a JSON object: the revision, the lifetime
and the introduction points (link specifiers as type and hexadecimal body; keys in Base64).
Ends with 77 when stem or cryptography is not installed.
"""

import base64
import json
import sys

try:
    import cryptography
    from stem.client.datatype import LinkSpecifier
    from stem.descriptor.hidden_service import HiddenServiceDescriptorV3
except ImportError as missing:
    print(missing, file=sys.stderr)
    sys.exit(77)


def point(introduction):
    return {
        "link_specifiers": [[link.type, link.value.hex()] for link in introduction.link_specifiers],
        "onion_key": introduction.onion_key_raw,
        "auth_key": base64.b64encode(introduction.auth_key_cert.key).decode(),
        "enc_key": introduction.enc_key_raw,
    }


descriptor = HiddenServiceDescriptorV3.from_str(sys.stdin.read(), validate=True)
inner = descriptor.decrypt(sys.argv[1])
print(
    json.dumps(
        {
            "revision": descriptor.revision_counter,
            "lifetime": descriptor.lifetime,
            "formats": inner.formats,
            "points": [point(introduction) for introduction in inner.introduction_points],
        }
    )
)
