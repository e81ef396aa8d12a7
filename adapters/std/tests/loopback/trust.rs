//! A client's trust in servers, and the reasons that it reports.

use std::io::Write as _;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection};
use starttls::smtp::Smtp;
use starttls::{Policy, Protocol, Roles as _};
use starttls_std::{Advice, ClientTls, Driver, Error, Silent, accept, connect, handshake, upgrade};
use test_identity::rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, GeneralSubtree, IsCa, Issuer,
    KeyPair, NameConstraints, date_time_ymd,
};
use test_identity::{Authority, Identity};

use crate::common::{listen, quick, read_to};

/// The handshake of a client's TLS with a server of `config`.
fn shaken(config: ServerConfig, tls: &ClientTls, name: &str) -> Result<(), Error> {
    let (port, server) = listen(move |mut stream| {
        let mut tls = ServerConnection::new(Arc::new(config)).expect("a configuration");
        tls.complete_io(&mut stream).map(drop)
    });
    let stream = connect(("127.0.0.1", port), &quick()).expect("connected");
    let driver = Driver::new(stream, quick(), Silent);
    let outcome = handshake(driver, tls, name, None, Policy::Required).map(drop);
    let _ = server.join().expect("no panic");
    outcome
}

fn ca(pem: &str) -> ClientTls {
    // For builds in which no feature names a provider.
    let _ = CryptoProvider::install_default(test_identity::provider().as_ref().clone());
    ClientTls::with_ca_pem(pem.as_bytes()).expect("a CA file")
}

fn pin(pem: &str) -> ClientTls {
    let _ = CryptoProvider::install_default(test_identity::provider().as_ref().clone());
    ClientTls::with_pin_pem(pem.as_bytes()).expect("a certificate")
}

/// A CA certificate that a server shows as its own.
fn own(names: [&str; 1]) -> Identity {
    Identity::self_signed(names, |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    })
}

#[test]
fn a_server_s_own_certificate() {
    let (own_ca, old) = (own(["localhost"]), own(["other.example"]));
    let issued = Authority::default().localhost();
    let expired = Identity::self_signed(["localhost"], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = date_time_ymd(2000, 2, 29);
    });
    // In a CA file by its names and dates, as in other TLS libraries.
    shaken(own_ca.server(), &ca(&own_ca.pem()), "localhost").expect("verified");
    shaken(issued.server(), &ca(&issued.pem()), "localhost").expect("verified");
    let both = [old.pem(), own_ca.pem()].concat();
    shaken(own_ca.server(), &ca(&both), "localhost").expect("verified");
    // A pin accepts the certificate whatever its names and dates.
    shaken(old.server(), &pin(&old.pem()), "localhost").expect("verified");
    shaken(expired.server(), &pin(&expired.pem()), "localhost").expect("verified");
    shaken(own_ca.server(), &pin(&both), "localhost").expect("verified");
    for (server, tls, advice, words) in [
        (
            &old,
            ca(&old.pem()),
            Advice::UseCertifiedName,
            "not for \"localhost\" but for other.example",
        ),
        (&expired, ca(&expired.pem()), Advice::RenewCertificate, "expired at 2000-02-29T00:00:00Z"),
        (&own_ca, ca(&old.pem()), Advice::PinCertificate, "a CA certificate as its own"),
        (
            &issued,
            pin(&own_ca.pem()),
            Advice::CheckPin,
            "another certificate than the one that is pinned",
        ),
    ] {
        let error = shaken(server.server(), &tls, "localhost").expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.advice(), advice, "{error}");
        let tls = tls.inspecting();
        let again = shaken(server.server(), &tls, "localhost").expect_err(words);
        assert_eq!(again.to_string().len(), error.to_string().len(), "{again}");
    }
}

/// A server's certificate in a CA file is trusted as that server's own, and for no other server.
#[test]
fn a_server_is_no_authority() {
    let (key, params) =
        (KeyPair::generate().expect("a key"), CertificateParams::new(["localhost".to_owned()]));
    let params = params.expect("a name");
    let own = params.self_signed(&key).expect("a certificate");
    let config = |certificate: &Certificate, key: &KeyPair| {
        ServerConfig::builder_with_provider(test_identity::provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone(), own.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
            )
            .expect("a certificate")
    };
    shaken(config(&own, &key), &ca(&own.pem()), "localhost").expect("trusted as its own");
    let server = Issuer::new(params, key);
    let others = KeyPair::generate().expect("a key");
    for name in ["localhost", "bank.example"] {
        let forged = CertificateParams::new([name.to_owned()]).expect("a name");
        let forged = forged.signed_by(&others, &server).expect("a certificate");
        for pem in [own.pem(), [own.pem(), Authority::default().pem()].concat()] {
            let error = shaken(config(&forged, &others), &ca(&pem), name).expect_err("forged");
            assert!(matches!(error, Error::Tls(_)), "{error}");
        }
    }
}

/// RFC 9525 §6.3: a wildcard is a whole label, the first one, and stands for exactly one.
#[test]
fn wildcards_and_limits_of_names() {
    let authority = Authority::default();
    let tls = ca(&authority.pem());
    for (certified, name, is_right) in [
        ("*.example.test", "mx.example.test", true),
        ("*.example.test", "MX.Example.test", true),
        ("*.example.test", "a.mx.example.test", false),
        ("*.example.test", "example.test", false),
        ("*.example.test", "mx.example.net", false),
        ("mx.example.test", "mx.example.test", true),
        ("mx.example.test", "127.0.0.1", false),
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.2", false),
    ] {
        let server = authority.identity([certified]).server();
        let shaken = shaken(server, &tls, name);
        assert_eq!(shaken.is_ok(), is_right, "{certified} for {name}: {shaken:?}");
    }

    // A CA may have name constraints.
    let root = Authority::new("the root");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "a limited root");
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.test".into())],
        excluded_subtrees: vec![GeneralSubtree::DnsName("not.example.test".into())],
    });
    let key = KeyPair::generate().expect("a key");
    let limited = params.self_signed(&key).expect("a CA");
    let issuer = Issuer::new(params, key);
    for (name, is_right) in
        [("mx.example.test", true), ("mx.not.example.test", false), ("mx.example.net", false)]
    {
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new([name.to_owned()]).expect("a name");
        let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
        let config = ServerConfig::builder_with_provider(test_identity::provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
            )
            .expect("a certificate");
        let both = [limited.pem(), root.pem()].concat();
        assert_eq!(shaken(config, &ca(&both), name).is_ok(), is_right, "{name}");
    }
}

#[test]
fn an_incomplete_chain() {
    let root = Authority::new("the root");
    let middle = root.intermediate("the middle");
    let server = middle.localhost();
    shaken(server.server_with([middle.der().clone()]), &ca(&root.pem()), "localhost")
        .expect("whole");
    let error = shaken(server.server(), &ca(&root.pem()), "localhost").expect_err("incomplete");
    assert_eq!(error.advice(), Advice::CompleteChain);
    let words = "sent only its own certificate";
    assert!(error.to_string().contains(words), "{error}");
    assert!(error.to_string().contains("the certificate of CN=the middle is neither"), "{error}");
    // The whole chain, from a CA that is not trusted.
    let whole = server.server_with([middle.der().clone(), root.der().clone()]);
    let error =
        shaken(whole, &ca(&Authority::new("another").pem()), "localhost").expect_err("strange");
    assert_eq!(error.advice(), Advice::TrustAuthority);
    assert!(error.to_string().contains("an authority that is not trusted here"), "{error}");
}

#[test]
fn client_certificates() {
    let (authority, clients) = (Authority::default(), Authority::new("an authority for clients"));
    let (server, client) = (authority.localhost(), clients.identity(["me.example"]));
    let tls = ca(&authority.pem());
    let known = tls
        .clone()
        .with_client_cert_pem(client.pem().as_bytes(), client.key_pem().as_bytes())
        .expect("a certificate");
    for version in [&TLS12, &TLS13] {
        let config = || server.server_demanding(&clients, &[version]);
        shaken(config(), &known, "localhost").expect("accepted");
    }
    let error =
        shaken(server.server_demanding(&clients, &[&TLS12]), &tls, "localhost").expect_err("none");
    assert!(error.to_string().contains("it demands a client certificate"), "{error}");

    // In TLS 1.3 the alert arrives after the client's handshake, at its next read or write.
    let config = Arc::new(server.server_demanding(&clients, &[&TLS13]));
    let (port, thread) = listen(move |stream| {
        let server = starttls::smtp::Server::new(
            starttls::smtp::Domain::LOCALHOST,
            starttls::server::Config::default(),
        );
        accept(stream, server, &config).map(drop)
    });
    let stream = connect(("127.0.0.1", port), &quick()).expect("connected");
    let machine =
        Smtp::client(&starttls::Introduction::new("localhost", [0; 20]), Policy::Required)
            .expect("a name");
    let mut stream = upgrade(stream, machine, &tls, "localhost").expect("through");
    let told =
        stream.write_all(b"EHLO me\r\n").and_then(|()| read_to(&mut stream, b"\n").map(drop));
    let error = Error::io(starttls_std::Doing::Receiving)(told.expect_err("an alert"));
    assert_eq!(error.advice(), Advice::ShowCertificate, "{error}");
    assert!(error.to_string().contains("certificate_required"), "{error}");
    assert!(thread.join().expect("no panic").is_err());

    for (chain, key, words) in [
        (String::new(), client.key_pem(), "has no PEM certificate in it"),
        (client.pem(), String::new(), "is not a private key in PEM"),
        (
            client.pem(),
            server.key_pem(),
            "private key cannot be used: the private key does not match",
        ),
    ] {
        let error = tls.clone().with_client_cert_pem(chain.as_bytes(), key.as_bytes());
        let error = error.expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn plaintext_instead_of_tls() {
    let tls = ca(&Authority::default().pem());
    for (said, quoted) in
        [(&b"220 mx ESMTP\r\n250 more\r\n"[..], "220 mx ESMTP"), (b"\x1b[31m", "\\x1b[31m")]
    {
        let (port, server) = listen(move |mut stream| {
            stream.write_all(said).expect("written");
            let _ = read_to(&mut stream, b"\n\n\n");
        });
        let stream = connect(("127.0.0.1", port), &quick()).expect("connected");
        let driver = Driver::new(stream, quick(), Silent);
        let alpn = Protocol::SMTP.alpn;
        let error = handshake(driver, &tls, "localhost", alpn, Policy::Required).map(drop);
        let error = error.expect_err("no TLS");
        assert_eq!(error.plaintext_answer(), Some(quoted));
        assert_eq!(error.advice(), Advice::CheckProtocol);
        server.join().expect("no panic");
    }
}
