//! A server that completes a TLS 1.3 handshake without a certificate.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes128Gcm, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use p256::EncodedPoint;
use p256::PublicKey;
use p256::ecdh::EphemeralSecret;
use rand_core::OsRng;
use sha2::{Digest, Sha256};
use starttls::Verification;
use starttls_embedded::embedded_tls::{ClientTls, Error, Records};
use starttls_embedded::verify::{self, Problem};
use starttls_embedded::{Connect, asynch};

use crate::common::{Identity, Net, block_on, now};

/// The contents after a length field of `N` bytes.
fn block<'i, const N: usize>(input: &mut &'i [u8]) -> &'i [u8] {
    let (length, rest) = input.split_at(N);
    let length = length.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
    let (block, rest) = rest.split_at(length);
    *input = rest;
    block
}

fn with_length(size: usize, octets: &[u8]) -> Vec<u8> {
    let length = octets.len().to_be_bytes();
    [&length[length.len() - size..], octets].concat()
}

/// The client's key share and session id.
fn parse(hello: &[u8]) -> (&[u8], &[u8]) {
    let mut rest = &hello[4 + 2 + 32..];
    let session = block::<1>(&mut rest);
    block::<2>(&mut rest);
    block::<1>(&mut rest);
    let mut extensions = block::<2>(&mut rest);
    while !extensions.is_empty() {
        let (kind, after) = extensions.split_at(2);
        extensions = after;
        let mut body = block::<2>(&mut extensions);
        if kind == [0, 51] {
            let share = block::<2>(&mut body);
            assert_eq!(&share[..2], [0, 23], "P-256");
            return (block::<2>(&mut &share[2..]), session);
        }
    }
    panic!("no key share");
}

/// RFC 8446 §7.1.
fn expand(secret: &[u8], label: &str, context: &[u8], length: u8) -> Vec<u8> {
    let info = [
        &[0, length][..],
        &with_length(1, format!("tls13 {label}").as_bytes()),
        &with_length(1, context),
    ]
    .concat();
    let mut output = vec![0; length.into()];
    Hkdf::<Sha256>::from_prk(secret).expect("a key").expand(&info, &mut output).expect("short");
    output
}

fn serve() -> (TcpStream, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut header = [0; 5];
        stream.read_exact(&mut header).expect("a record");
        let mut hello = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        stream.read_exact(&mut hello).expect("a record");

        let (share, session) = parse(&hello);
        let secret = EphemeralSecret::random(&mut OsRng);
        let ours = EncodedPoint::from(secret.public_key());
        let theirs = PublicKey::from_sec1_bytes(share).expect("a key");
        let shared = secret.diffie_hellman(&theirs);
        let key_share = [&[0, 23][..], &with_length(2, ours.as_bytes())].concat();
        let extensions = [&[0, 43, 0, 2, 3, 4, 0, 51][..], &with_length(2, &key_share)].concat();
        let answer = [
            &[3, 3][..],
            &[7; 32],
            &with_length(1, session),
            &[0x13, 0x01, 0],
            &with_length(2, &extensions),
        ]
        .concat();
        let answer = [&[2][..], &with_length(3, &answer)].concat();

        let (early, _) = Hkdf::<Sha256>::extract(None, &[0; 32]);
        let derived = expand(&early, "derived", &Sha256::digest([]), 32);
        let (handshake, _) = Hkdf::<Sha256>::extract(Some(&derived), shared.raw_secret_bytes());
        let so_far = Sha256::digest([&hello[..], &answer].concat());
        let traffic = expand(&handshake, "s hs traffic", &so_far, 32);

        let nothing = [8, 0, 0, 2, 0, 0];
        let finished_key = expand(&traffic, "finished", &[], 32);
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&finished_key).expect("a key");
        mac.update(&Sha256::digest([&hello[..], &answer, &nothing].concat()));
        let finished = [&[20][..], &with_length(3, &mac.finalize().into_bytes())].concat();

        let inner = [&nothing[..], &finished, &[22]].concat();
        let header = [&[23, 3, 3][..], &with_length(2, &vec![0; inner.len() + 16])[..2]].concat();
        let key = expand(&traffic, "key", &[], 16);
        let cipher = Aes128Gcm::new_from_slice(&key).expect("a key");
        let nonce = expand(&traffic, "iv", &[], 12);
        let sealed = cipher
            .encrypt(Nonce::from_slice(&nonce), Payload { msg: &inner, aad: &header })
            .expect("room");
        let flight = [&[22, 3, 3][..], &with_length(2, &answer), &header, &sealed].concat();
        stream.write_all(&flight).expect("a client");
        // A client that rejects the server ends the connection.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    (TcpStream::connect(address).expect("a server"), server)
}

#[test]
fn a_server_without_a_certificate_is_rejected() {
    let identity = Identity::new();
    let anchors = [verify::anchor(identity.authority.der()).expect("an authority")];
    for asynchronous in [false, true] {
        let (stream, server) = serve();
        let mut socket = Net(stream);
        let mut records = Box::new(Records::<16640, 512>::new());
        let mut tls = ClientTls::new("localhost", &anchors, now, OsRng, &mut records);
        let verdict = if asynchronous {
            block_on(asynch::Connect::connect(&mut tls, &mut socket, None)).map(|(_, who)| who)
        } else {
            Connect::connect(&mut tls, &mut socket, None).map(|(_, who)| who)
        };
        assert!(
            matches!(verdict, Err(Error::Certificate(Problem::HandshakeSignature))),
            "{verdict:?}"
        );
        drop(socket);
        server.join().expect("no panic");
    }
    // The server's TLS works otherwise.
    let (stream, server) = serve();
    let mut socket = Net(stream);
    let mut records = Box::new(Records::<16640, 512>::new());
    let mut tls = ClientTls::dangerous_without_verification("localhost", OsRng, &mut records);
    let (_, verification) = Connect::connect(&mut tls, &mut socket, None).expect("TLS");
    assert_eq!(verification, Verification::Unverified);
    drop(socket);
    server.join().expect("no panic");
}
