//! Sends a mail, with the fault that is named.
//!
//! usage: wrong-client none|FAULT HOST PORT CA CRL|none USER PASSWORD

use std::env;
use std::process::ExitCode;

use base64ct::{Base64, Encoding as _};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use test_wrong::client::{ClientFault, Target, send};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let [fault, host, port, ca, crl, user, password] = &args[..] else { panic!("see the usage") };
    let fault = (fault != "none").then(|| {
        *ClientFault::ALL.iter().find(|known| known.name() == fault).expect("a fault's name")
    });
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).expect("the CA's file") {
        roots.add(certificate.expect("PEM")).expect("a CA");
    }
    let revocations = if crl == "none" {
        Vec::new()
    } else {
        vec![CertificateRevocationListDer::from_pem_file(crl).expect("a list")]
    };
    let encoded = |text: &str| Base64::encode_string(text.as_bytes());
    let target = Target {
        host: host.clone(),
        port: port.parse().expect("a port"),
        roots,
        revocations,
        plain: encoded(&format!("\0{user}\0{password}")),
        login: [encoded(user), encoded(password)],
    };
    ExitCode::from(u8::from(!send(&target, fault)))
}
