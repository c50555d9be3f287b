"""A broker and a warehouse as an enterprise runs them: TLS by an authority of its own, and passwords."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from kafka import KafkaAdminClient
from kafka.admin import UserScramCredentialUpsertion

from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse, Tls, User
from deploy.local.clickhouse.users import ReaderScope, Role
from deploy.local.kafka import KafkaConfig, LocalKafka
from deploy.local.ports import LOOPBACK, free_port

USER, PASSWORD = "rapport", "correct-horse-8"
READER_PASSWORD = "reader"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
LOGIN_MODULES = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Certificates:
    """PEM files: of the authority, of the server and of a client, each with its key."""

    authority: Path
    server: Path
    client: Path


@dataclass(frozen=True)
class SecuredKafka:
    """`addresses` by security protocol; SSL asks for the client's certificate."""

    kafka: LocalKafka
    addresses: Mapping[str, str]
    certificates: Certificates

    def environment(self, mechanism: str, password: str = PASSWORD) -> dict[str, str]:
        """What a service needs to sign in."""
        return {
            "RAPPORT_KAFKA": self.addresses["SASL_SSL"],
            "RAPPORT_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "RAPPORT_KAFKA_SSL_CAFILE": str(self.certificates.authority),
            "RAPPORT_KAFKA_SASL_MECHANISM": mechanism,
            "RAPPORT_KAFKA_SASL_USERNAME": USER,
            "RAPPORT_KAFKA_SASL_PASSWORD": password,
        }


def make_certificates(folder: Path) -> Certificates:
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    found = Certificates(folder / "authority.pem", folder / "server.pem", folder / "client.pem")
    authority.cert_pem.write_to_path(str(found.authority))
    for file, identity in ((found.server, LOOPBACK), (found.client, "client.example.com")):
        file.write_bytes(_key_and_chain(authority.issue_cert(identity)))
    return found


@contextmanager
def secured_kafka(folder: Path, cache: Path) -> Iterator[SecuredKafka]:
    certificates, taken = make_certificates(folder / "certificates"), set[int]()
    ports = {protocol: free_port(taken) for protocol in ("SASL_SSL", "SSL")}
    config = KafkaConfig(folder / "kafka", cache, properties=_security(certificates), listeners=ports)
    with LocalKafka(config) as kafka:
        _add_user(kafka.bootstrap)
        yield SecuredKafka(kafka, {name: f"{LOOPBACK}:{port}" for name, port in ports.items()}, certificates)


@contextmanager
def secured_clickhouse(folder: Path, certificates: Certificates) -> Iterator[LocalClickHouse]:
    users = (
        User.with_password(USER, PASSWORD, Role.WRITER),
        User.with_password("reader", READER_PASSWORD, Role.READER, ReaderScope.ANALYST),
    )
    tls = Tls(certificates.server, certificates.authority)
    with LocalClickHouse(ClickHouseConfig(folder / "clickhouse", users=users, tls=tls)) as clickhouse:
        yield clickhouse


def clickhouse_environment(
    clickhouse: LocalClickHouse, certificates: Certificates, password: str = PASSWORD
) -> dict[str, str]:
    return {
        "RAPPORT_CLICKHOUSE": clickhouse.url,
        "RAPPORT_CLICKHOUSE_SSL_CAFILE": str(certificates.authority),
        "RAPPORT_CLICKHOUSE_USER": USER,
        "RAPPORT_CLICKHOUSE_PASSWORD": password,
    }


def _key_and_chain(issued: trustme.LeafCert) -> bytes:
    """The key in PKCS 8, the only form that Java reads."""
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pkcs8 + b"".join(pem.bytes() for pem in issued.cert_chain_pems)


def _security(certificates: Certificates) -> dict[str, str]:
    plain = f'{LOGIN_MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    scram = f"{LOGIN_MODULES}.scram.ScramLoginModule required;"
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.server),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificates.authority),
        "listener.name.ssl.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        # Everybody may do what nobody is denied.
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
        **{
            f"listener.name.sasl_ssl.{name.lower()}.sasl.jaas.config": plain if name == "PLAIN" else scram
            for name in MECHANISMS
        },
    }


def _add_user(bootstrap: str) -> None:
    """One mechanism at a time: the broker wants it so."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        for name in MECHANISMS[1:]:
            refusals = admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, name, PASSWORD)])
            assert refusals == {USER: None}, refusals
    finally:
        admin.close()
