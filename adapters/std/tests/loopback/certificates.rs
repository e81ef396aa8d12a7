//! A server's certificate from files, and its replacement.

use std::fs;
use std::path::PathBuf;

use starttls::smtp::Smtp;
use starttls_std::{Certificates, ClientTls, Error, InboxSettings, Settings};
use test_identity::Authority;

use crate::common::{quick, send, serve};

/// A directory that is removed with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path =
            std::env::temp_dir().join(format!("starttls-certificates-{}", std::process::id()));
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
        ("chain.pem", second.pem(), "cannot be used with the certificate"),
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
