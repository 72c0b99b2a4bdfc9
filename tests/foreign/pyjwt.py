"""Reads {verify, refuse, sign} from standard input and answers {claims, tokens, usual}; ends with an error where a
verdict of PyJWT is another one than expected.

`tokens` have the header that was asked for, to the byte; `usual` are what `jwt.encode` makes of the same members."""

import json
import sys

import jwt
from jwt.algorithms import get_default_algorithms
from jwt.utils import base64url_encode

asked = json.load(sys.stdin)


def checked(one):
    key = one["secret"]
    if key is None:
        key = jwt.PyJWKClient(one["jwks"]).get_signing_key_from_jwt(one["token"]).key
    required = ["exp", "iat", "sub", "sid", "jti", "ver"]
    return jwt.decode(
        one["token"],
        key,
        algorithms=[one["alg"]],
        issuer=one["issuer"],
        audience=one["audience"],
        options={"require": required, "verify_iat": False},
    )


for one in asked["refuse"]:
    try:
        checked(one)
    except jwt.InvalidTokenError:
        continue
    sys.exit(f"PyJWT accepted {one['token']}")


def signed(one):
    algorithm = get_default_algorithms()[one["header"]["alg"]]
    segments = [json.dumps(one["header"], separators=(",", ":")), one["payload"]]
    message = b".".join(base64url_encode(segment.encode()) for segment in segments)
    key = algorithm.prepare_key(one["secret"] or one["pem"])
    return (message + b"." + base64url_encode(algorithm.sign(message, key))).decode()


def usual(one):
    headers = dict(one["header"])
    return jwt.encode(json.loads(one["payload"]), one["secret"] or one["pem"], headers.pop("alg"), headers)


json.dump(
    {
        "claims": [checked(one) for one in asked["verify"]],
        "tokens": [signed(one) for one in asked["sign"]],
        "usual": [usual(one) for one in asked["sign"]],
    },
    sys.stdout,
)
