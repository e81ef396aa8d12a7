//! A server's certificate from files, and its replacement.

use std::fs;
use std::path::PathBuf;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier as _;
use starttls::smtp::Smtp;
use starttls_std::{Certificates, ClientCas, ClientTls, Error, InboxSettings, Settings};
use test_identity::Authority;

use crate::common::{provider, quick, send, serve};

/// A directory that is removed with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        // For builds in which no feature names a provider.
        let _ = CryptoProvider::install_default(provider().as_ref().clone());
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("starttls-certificates-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("written");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether a client that trusts only this authority reaches a server with these certificates.
fn is_trusted(certificates: &Certificates, authority: &Authority) -> bool {
    let tls = certificates.config().expect("a configuration");
    let (port, server) =
        serve::<Smtp>(InboxSettings::new("mail.example.test", tls).with_timeouts(quick()));
    let trust = ClientTls::with_ca_pem(authority.pem().as_bytes()).expect("an authority");
    let settings = Settings::new("localhost", trust).with_port(port).with_timeouts(quick());
    let sent = send(&settings, &["a@b.test"], b"x");
    let _ = server.join().expect("no panic");
    match sent {
        Ok(_) => true,
        Err(Error::Tls(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_renewed_certificate_is_used_and_a_bad_one_is_not() {
    let (old, new, directory) = (Authority::default(), Authority::default(), Directory::new());
    let (first, second) = (old.localhost(), new.localhost());
    let chain = directory.write("chain.pem", &first.pem());
    let key = directory.write("key.pem", &first.key_pem());
    let certificates = Certificates::from_pem_files(&chain, &key).expect("both files");
    assert!(is_trusted(&certificates, &old) && !is_trusted(&certificates, &new));

    // Renewed by half, and broken in other ways: the old certificate stays.
    for (name, content, why) in [
        ("chain.pem", second.pem(), "the private key of the certificate in"),
        ("chain.pem", String::new(), "has no PEM certificate in it"),
        (
            "chain.pem",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".into(),
            "is not PEM",
        ),
        ("key.pem", "x".into(), "has no PEM private key in it"),
    ] {
        directory.write("chain.pem", &first.pem());
        directory.write("key.pem", &first.key_pem());
        directory.write(name, &content);
        let error = certificates.reload().expect_err("unusable").to_string();
        assert!(error.contains(why) && error.contains(".pem"), "{error}");
        assert!(Certificates::from_pem_files(&chain, &key).is_err());
        assert!(is_trusted(&certificates, &old));
    }
    fs::remove_file(&key).expect("removed");
    let error = certificates.reload().expect_err("unusable").to_string();
    assert!(error.contains("cannot be read from"), "{error}");

    // A copy shares the certificate.
    let copy = certificates.clone();
    directory.write("chain.pem", &second.pem());
    directory.write("key.pem", &second.key_pem());
    copy.reload().expect("both files");
    assert!(is_trusted(&certificates, &new) && !is_trusted(&certificates, &old));
    certificates
        .replace_pem(first.pem().as_bytes(), first.key_pem().as_bytes())
        .expect("both texts");
    assert!(is_trusted(&copy, &old));

    let text = Certificates::from_pem(first.pem().as_bytes(), first.key_pem().as_bytes());
    assert!(text.expect("both texts").reload().is_err());
    assert!(!format!("{copy:?}").contains("PRIVATE"));
}

#[test]
fn renewed_client_cas_are_used_and_bad_ones_are_not() {
    let (old, new, directory) = (Authority::new("old"), Authority::new("new"), Directory::new());
    let server = Authority::default();
    let mine = server.localhost();
    let path = directory.write("clients.pem", &old.pem());
    let cas = ClientCas::from_pem_file(&path).expect("a file");
    let certificates = Certificates::from_pem(mine.pem().as_bytes(), mine.key_pem().as_bytes());
    let certificates = certificates.expect("both texts");
    // Whether a client reaches the server by a certificate of this authority, or by none.
    let is_accepted = |cas: &ClientCas, authority: Option<&Authority>| {
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(Arc::new(cas.clone()))
            .with_cert_resolver(Arc::new(certificates.clone()));
        let inbox = InboxSettings::new("mail.example.test", Arc::new(config));
        let (port, thread) = serve::<Smtp>(inbox.with_timeouts(quick()));
        let mut tls = ClientTls::with_ca_pem(server.pem().as_bytes()).expect("an authority");
        if let Some(me) = authority.map(|authority| authority.identity(["me.example"])) {
            let certified = tls.with_client_cert_pem(me.pem().as_bytes(), me.key_pem().as_bytes());
            tls = certified.expect("a certificate");
        }
        let settings = Settings::new("localhost", tls).with_port(port).with_timeouts(quick());
        let sent = send(&settings, &["a@b.test"], b"x");
        let (mails, end) = thread.join().expect("no panic");
        assert_eq!((mails.len(), end.is_ok()), (usize::from(sent.is_ok()), sent.is_ok()));
        sent.is_ok()
    };
    assert!(is_accepted(&cas, Some(&old)));
    assert!(!is_accepted(&cas, Some(&new)) && !is_accepted(&cas, None));
    let optional = cas.clone().optional();
    assert!(is_accepted(&optional, None) && !is_accepted(&optional, Some(&new)));

    for (content, why) in [("", "has no PEM certificate in it"), ("x", "has no PEM certificate")] {
        directory.write("clients.pem", content);
        let error = cas.reload().expect_err("unusable").to_string();
        assert!(error.contains(why), "{error}");
    }
    fs::remove_file(&path).expect("removed");
    let error = cas.reload().expect_err("no file").to_string();
    assert!(error.contains("cannot be read from") && error.contains("clients.pem"), "{error}");
    assert!(is_accepted(&cas, Some(&old)));

    // The request names the CAs for clients with several certificates, and never those that were replaced.
    directory.write("clients.pem", &old.pem());
    cas.reload().expect("a file");
    let [name] = cas.root_hint_subjects() else { panic!("one CA, one name") };
    assert!(name.as_ref().ends_with(b"old"), "{name:?}");

    // A copy shares the CAs.
    directory.write("clients.pem", &new.pem());
    cas.reload().expect("a file");
    assert!(cas.root_hint_subjects().is_empty() && optional.root_hint_subjects().is_empty());
    assert!(is_accepted(&optional, Some(&new)) && !is_accepted(&optional, Some(&old)));
    assert!(ClientCas::from_pem(old.pem().as_bytes()).expect("a text").reload().is_err());
}
