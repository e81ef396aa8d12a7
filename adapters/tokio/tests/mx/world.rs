use std::net::{Ipv4Addr, SocketAddr};
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
use starttls_tokio::mx::Dns;
use tempfile::NamedTempFile;
use tokio::net::{TcpListener, UdpSocket};

/// The DNS as far as anybody here is concerned: a signed root zone, an unsigned `insecure.test`, and a
/// `bogus.test` that is signed by a key that nobody vouches for. Somebody denies that the hosts of
/// `denied.test` have TLSA records, as if he spoke for `insecure.test`.
pub(crate) struct World {
    _server: Server<Zones>,
    address: SocketAddr,
    anchor: NamedTempFile,
}

/// Whether a zone is signed is said by the one above it.
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
    /// `secure` is what is below the root, `insecure` and `bogus` what is in these zones.
    pub(crate) async fn new(secure: &str, insecure: &str, bogus: &str) -> Self {
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

    pub(crate) fn dns(&self) -> Dns {
        Dns::at(self.address, Some(self.anchor.path())).expect("a resolver")
    }
}

/// One port for both. Somebody else may have it for datagrams.
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
