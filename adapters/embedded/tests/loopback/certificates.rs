//! Certificates that must be rejected, each with its own error, and those that must be accepted.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use ::rustls::crypto::ring;
use ::rustls::crypto::ring::sign::any_ecdsa_type;
use ::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ::rustls::server::{ClientHello, ResolvesServerCert};
use ::rustls::sign::CertifiedKey;
use ::rustls::{ServerConfig, ServerConnection, StreamOwned};
use rand_core::OsRng;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, NameConstraints, PKCS_ECDSA_P384_SHA384, date_time_ymd,
};
use starttls::Verification;
use starttls_embedded::embedded_tls::{ClientTls, Error, Records};
use starttls_embedded::verify::{self, Problem};
use starttls_embedded::{Connect, Stream, asynch};

use crate::common::{Net, block_on};

/// 2026-01-01.
const NOW: u64 = 1_767_225_600;

/// A certificate with its key and its issuer.
struct Made {
    params: CertificateParams,
    key: KeyPair,
    der: CertificateDer<'static>,
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(&[]);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn root(params: CertificateParams) -> Made {
    let key = key();
    let der = params.self_signed(&key).expect("a certificate").der().clone();
    Made { params, key, der }
}

impl Made {
    fn issue(&self, params: CertificateParams) -> Made {
        self.issue_to(params, key())
    }

    fn issue_to(&self, params: CertificateParams, key: KeyPair) -> Made {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let der = params.signed_by(&key, &issuer).expect("a certificate").der().clone();
        Made { params, key, der }
    }
}

/// Shows any chain.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A server that shows `chain`, its own certificate first, and signs with `key`. Returns what it received.
fn serve(chain: &[&Made], key: &KeyPair) -> (TcpStream, thread::JoinHandle<Vec<u8>>) {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let shown = CertifiedKey::new(
        chain.iter().map(|made| made.der.clone()).collect(),
        any_ecdsa_type(&key).expect("a key"),
    );
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shows(Arc::new(shown))));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let connection = ServerConnection::new(Arc::new(config)).expect("a server");
        let mut got = Vec::new();
        // A client that rejects the certificate ends the connection.
        let _ = StreamOwned::new(connection, stream).read_to_end(&mut got);
        got
    });
    (TcpStream::connect(address).expect("a server"), server)
}

/// The verdict of a client that trusts `anchor`, on the blocking and the async side.
fn believes(
    anchor: &Made,
    name: &str,
    now: Option<u64>,
    chain: &[&Made],
    key: &KeyPair,
) -> Result<(), Problem> {
    let verdicts = [false, true].map(|asynchronous| {
        let (stream, server) = serve(chain, key);
        let mut socket = Net(stream);
        let anchors = [verify::anchor(&anchor.der).expect("an authority")];
        let mut records = Box::new(Records::<16640, 512>::new());
        let mut tls = ClientTls::new(name, &anchors, || now, OsRng, &mut records);
        let verdict = if asynchronous {
            block_on(async {
                let (stream, verification) =
                    asynch::Connect::connect(&mut tls, &mut socket, None).await?;
                asynch::Stream::close(stream).await.expect("goodbye");
                Ok(verification)
            })
        } else {
            Connect::connect(&mut tls, &mut socket, None).map(|(stream, verification)| {
                stream.close().expect("goodbye");
                verification
            })
        };
        drop(socket);
        assert_eq!(server.join().expect("no panic"), b"");
        match verdict {
            Ok(verification) => {
                assert_eq!(verification, Verification::Verified);
                Ok(())
            }
            Err(Error::Certificate(problem)) => Err(problem),
            Err(error) => panic!("{error}"),
        }
    });
    assert_eq!(verdicts[0], verdicts[1]);
    verdicts[0]
}

#[test]
fn chains() {
    let ca = root(authority("root"));
    let leaf = || ca.issue(params(&["localhost"]));
    let check = |what: &str, expected: Result<(), Problem>, chain: &[&Made]| {
        let verdict = believes(&ca, "localhost", Some(NOW), chain, &chain[0].key);
        assert_eq!(verdict, expected, "{what}");
    };

    check("a good one", Ok(()), &[&leaf()]);
    let between = ca.issue(authority("between"));
    check("an intermediate CA", Ok(()), &[&between.issue(params(&["localhost"])), &between]);
    let unasked = root(authority("unasked"));
    check("one certificate too many", Ok(()), &[&leaf(), &unasked, &between]);

    let no_authority = ca.issue(params(&["localhost"]));
    check(
        "a leaf used as a CA",
        Err(Problem::NotAnAuthority),
        &[&no_authority.issue(params(&["localhost"])), &no_authority],
    );
    let mut params_of_ca = authority("localhost");
    params_of_ca.subject_alt_names = params(&["localhost"]).subject_alt_names;
    check("a CA used as a leaf", Err(Problem::Authority), &[&ca.issue(params_of_ca)]);
    check("the CA itself", Err(Problem::Authority), &[&ca]);

    let mut client_only = params(&["localhost"]);
    client_only.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    check("for clients only", Err(Problem::WrongUsage), &[&ca.issue(client_only)]);
    let mut for_both = params(&["localhost"]);
    for_both.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    check("for clients and servers", Ok(()), &[&ca.issue(for_both)]);

    check("another name", Err(Problem::WrongName), &[&ca.issue(params(&["mail.example.org"]))]);
    let mut common_name = params(&[]);
    common_name.distinguished_name.push(DnType::CommonName, "localhost");
    check("only a common name", Err(Problem::WrongName), &[&ca.issue(common_name)]);

    let mut expired = params(&["localhost"]);
    expired.not_after = date_time_ymd(2025, 12, 31);
    check("expired", Err(Problem::Expired), &[&ca.issue(expired)]);
    let mut early = params(&["localhost"]);
    early.not_before = date_time_ymd(2026, 1, 2);
    check("not valid yet", Err(Problem::NotYetValid), &[&ca.issue(early)]);
    let mut expired = authority("between");
    expired.not_after = date_time_ymd(2025, 12, 31);
    let expired = ca.issue(expired);
    check(
        "an expired CA",
        Err(Problem::Expired),
        &[&expired.issue(params(&["localhost"])), &expired],
    );

    check("an unknown CA", Err(Problem::UnknownIssuer), &[&unasked.issue(params(&["localhost"]))]);
    check("self-signed", Err(Problem::UnknownIssuer), &[&root(params(&["localhost"]))]);
    check(
        "a missing intermediate CA",
        Err(Problem::UnknownIssuer),
        &[&between.issue(params(&["localhost"]))],
    );
    let namesake = root(authority("root"));
    check(
        "a namesake's",
        Err(Problem::CertificateSignature),
        &[&namesake.issue(params(&["localhost"]))],
    );

    let mut bound = authority("bound");
    bound.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".into())],
        excluded_subtrees: vec![],
    });
    let bound = ca.issue(bound);
    check(
        "a name outside the name constraints",
        Err(Problem::NameConstraint),
        &[&bound.issue(params(&["localhost"])), &bound],
    );
    let mut short = authority("short");
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let short = ca.issue(short);
    let below = short.issue(authority("below"));
    check(
        "one CA too many",
        Err(Problem::PathTooLong),
        &[&below.issue(params(&["localhost"])), &below, &short],
    );

    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key");
    check(
        "a key of another curve",
        Err(Problem::UnsupportedAlgorithm),
        &[&ca.issue_to(params(&["localhost"]), p384)],
    );

    let leaf = leaf();
    let verdict = believes(&ca, "localhost", Some(NOW), &[&leaf], &key());
    assert_eq!(verdict, Err(Problem::HandshakeSignature), "a certificate without its key");
    let verdict = believes(&ca, "localhost", None, &[&leaf], &leaf.key);
    assert_eq!(verdict, Err(Problem::NoTime));
    let verdict = believes(&ca, "not a name", Some(NOW), &[&leaf], &leaf.key);
    assert_eq!(verdict, Err(Problem::BadName));
    let own = root(params(&["localhost"]));
    assert_eq!(believes(&own, "localhost", Some(NOW), &[&own], &own.key), Ok(()), "pinned itself");
    let addressed = ca.issue(params(&["127.0.0.1"]));
    assert_eq!(believes(&ca, "127.0.0.1", Some(NOW), &[&addressed], &addressed.key), Ok(()));
    let longest = [&"a".repeat(63)[..]; 3].join(".") + "." + &"b".repeat(61);
    let named = ca.issue(params(&[&longest]));
    assert_eq!(believes(&ca, &longest, Some(NOW), &[&named], &named.key), Ok(()));
}
