//! A DNS server for tests, on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_server::Server;
use hickory_server::dnssec::NxProofKind;
use hickory_server::net::runtime::{Time, TokioRuntimeProvider};
use hickory_server::proto::dnssec::crypto::EcdsaSigningKey;
use hickory_server::proto::dnssec::rdata::DNSKEY;
use hickory_server::proto::dnssec::{Algorithm, DnssecSigner, SigningKey as _};
use hickory_server::proto::op::Metadata;
use hickory_server::proto::rr::rdata::SOA;
use hickory_server::proto::rr::{LowerName, Name, RData, Record, RecordType};
use hickory_server::proto::serialize::txt::Parser;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, MessageResponseBuilder, ZoneType};
use tempfile::NamedTempFile;
use tokio::net::{TcpListener, UdpSocket};

/// A DNS server with a signed root zone, an unsigned `insecure.test`, and a `bogus.test` signed by a key
/// outside any chain of trust. Forged answers deny TLSA records for the hosts of `denied.test`, as if they
/// came from `insecure.test`.
pub struct World {
    _server: Server<Zones>,
    address: SocketAddr,
    anchor: NamedTempFile,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The parent zone tells whether a zone is signed.
struct Zones {
    above: Catalog,
    all: Catalog,
}

#[async_trait]
impl RequestHandler for Zones {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut answer: R,
    ) -> ResponseInfo {
        let asked = &request.queries.queries()[0];
        if asked.query_type() == RecordType::TLSA && asked.name().to_string().contains("denied") {
            let soa = SOA::new(name("ns.test."), name("hostmaster.test."), 1, 3600, 600, 86400, 60);
            let soa = [Record::from_rdata(name("insecure.test."), 60, RData::SOA(soa))];
            let denial = MessageResponseBuilder::from_message_request(request);
            let head = Metadata::response_from_request(&request.metadata);
            let denial = denial.build(head, [], [], &soa, []);
            return answer.send_response(denial).await.expect("sent");
        }
        let above =
            request.queries.queries().iter().all(|query| query.query_type() == RecordType::DS);
        let zones = if above { &self.above } else { &self.all };
        zones.handle_request::<R, T>(request, answer).await
    }
}

const APEX: &str =
    "@ 60 IN SOA ns.test. hostmaster.test. 1 3600 600 86400 60\n@ 60 IN NS ns.test.\n";

impl World {
    /// Starts the server. `secure` contains the records below the root, `insecure` and `bogus` those of these zones.
    ///
    /// # Panics
    /// If a zone is invalid, or no port is free.
    #[must_use = "the server stops when dropped"]
    pub async fn new(secure: &str, insecure: &str, bogus: &str) -> Self {
        let (root, public) = signer(&Name::root());
        let (other, _) = signer(&name("bogus.test."));
        let delegations = "ns.test. 60 IN A 127.0.0.1\n\
            insecure.test. 60 IN NS ns.test.\n\
            bogus.test. 60 IN NS ns.test.\n\
            bogus.test. 60 IN DS 1 13 2 \
            0000000000000000000000000000000000000000000000000000000000000000\n";
        let mut zones = Zones { above: Catalog::new(), all: Catalog::new() };
        let sources = [
            (".", format!("{APEX}{delegations}{secure}"), Some(root)),
            ("insecure.test.", format!("{APEX}{insecure}"), None),
            ("bogus.test.", format!("{APEX}{bogus}"), Some(other)),
        ];
        for (origin, text, signer) in sources {
            let zone = Arc::new(zone(origin, &text, signer));
            let name = LowerName::from(name(origin));
            if origin == "." {
                zones.above.upsert(name.clone(), vec![zone.clone()]);
            }
            zones.all.upsert(name, vec![zone]);
        }
        let (listener, socket) = listen().await;
        let address = socket.local_addr().expect("an address");
        let mut server = Server::new(zones);
        server.register_socket(socket);
        server.register_listener(listener, Duration::from_secs(5), 16);
        let anchor = NamedTempFile::new().expect("a file");
        std::fs::write(anchor.path(), format!(". 60 IN DNSKEY {public}\n")).expect("written");
        Self { _server: server, address, anchor }
    }

    /// The server's address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file with the key of the root.
    #[must_use]
    pub fn anchor(&self) -> &Path {
        self.anchor.path()
    }
}

/// Binds one port for TCP and UDP. Another process may already use the port for UDP; then it tries the next.
async fn listen() -> (TcpListener, UdpSocket) {
    for _ in 0..100 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        if let Ok(socket) = UdpSocket::bind(address).await {
            return (listener, socket);
        }
    }
    panic!("no port is free for both");
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

fn signer(zone: &Name) -> (DnssecSigner, DNSKEY) {
    let key = EcdsaSigningKey::generate_pkcs8(Algorithm::ECDSAP256SHA256).expect("a key");
    let key = EcdsaSigningKey::from_pkcs8(&key, Algorithm::ECDSAP256SHA256).expect("a key");
    let public = DNSKEY::from_key(&key.to_public_key().expect("a key"));
    let duration = Duration::from_secs(3600);
    (DnssecSigner::new(public.clone(), Box::new(key), zone.clone(), duration), public)
}

fn zone(
    origin: &str,
    text: &str,
    signer: Option<DnssecSigner>,
) -> InMemoryZoneHandler<TokioRuntimeProvider> {
    let parser = Parser::new(text, None, Some(name(origin)));
    let (origin, records) = parser.parse().expect("a zone");
    let proof = signer.is_some().then_some(NxProofKind::Nsec);
    let mut zone =
        InMemoryZoneHandler::new(origin, records, ZoneType::Primary, AxfrPolicy::Deny, proof)
            .expect("a zone");
    if let Some(signer) = signer {
        zone.add_zone_signing_key_mut(signer).expect("a key");
        zone.secure_zone_mut().expect("signatures");
    }
    zone
}
