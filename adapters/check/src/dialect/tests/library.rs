//! Each half against the other role of the library.

use starttls::{Introduction, Machine, Policy, Roles, Step, client, server};

use super::super::{Answer, Ask, Reply, Setup};
use super::{NAME, Talk, serve};

/// Steps a machine with all of `input` until it waits for more. Returns what it wrote, and whether `act` saw the end.
fn drive<M: Machine>(
    machine: &mut M,
    mut input: &[u8],
    mut act: impl FnMut(&mut M, M::Event<'_>) -> bool,
) -> (Vec<u8>, bool) {
    let (mut output, mut said) = ([0; 2048], Vec::new());
    loop {
        match machine.step(&mut input, &mut output).expect("no error between our own sides") {
            Step::Write(n) => said.extend(&output[..n]),
            Step::Read => {
                assert!(input.is_empty(), "unread: {}", input.escape_ascii());
                return (said, false);
            }
            Step::Event(event) => {
                if act(machine, event) {
                    return (said, true);
                }
            }
        }
    }
}

fn our_client_upgrades<P: Roles>() {
    let names = Introduction::new(NAME, [7; 20]);
    let config = server::Config::default();
    let mut server = P::server(&names, config).expect("names");
    let mut serve = |bytes: &[u8]| {
        drive(&mut server, bytes, |server, event| match event {
            server::Event::UpgradeRequested => {
                server.accept().expect("asked");
                false
            }
            event => matches!(event, server::Event::UpgradeReady),
        })
    };
    let mut talk = Talk::new(&P::PROTOCOL);
    let (greeting, _) = serve(b"");
    assert_eq!(!greeting.is_empty(), talk.dialect.greets());
    if talk.dialect.greets() {
        assert_eq!(talk.hear(Ask::Greeting, &greeting), Answer::Yes);
    }
    let mut hello = Vec::new();
    if let Some(bytes) = talk.ask(Ask::Hello) {
        (hello, _) = serve(&bytes);
        assert_eq!(talk.hear(Ask::Hello, &hello), Answer::Yes);
    }
    assert_ne!(talk.dialect.offers_tls(&greeting, &hello), Some(false));
    let (answer, is_ready) = serve(&talk.ask(Ask::Upgrade).expect("all have it"));
    assert_eq!(talk.hear(Ask::Upgrade, &answer), Answer::Yes);
    assert!(is_ready, "{}", P::PROTOCOL.name);
}

fn our_server_upgrades<P: Roles>() {
    let names = Introduction::new(NAME, [7; 20]).with_client("client.invalid");
    let mut client = P::client(&names, Policy::Required).expect("names");
    let dialect = Talk::new(&P::PROTOCOL).dialect;
    let mut service = dialect.service(Setup::CLEAN);
    let mut to_client = service.greeting(false);
    for _ in 0..10 {
        let (to_server, is_ready) =
            drive(&mut client, &to_client, |_, event| matches!(event, client::Event::UpgradeReady));
        let (said, request) = serve(&mut *service, &to_server, false);
        to_client = said;
        if let Some(request) = request {
            to_client.extend(service.reply(Reply::GoAhead, &request).expect("all have it"));
        }
        if is_ready {
            // Without a go-ahead, the client is ready once it has asked.
            assert!(to_client.is_empty(), "{}", P::PROTOCOL.name);
            return;
        }
    }
    panic!("{}: no end", P::PROTOCOL.name);
}

macro_rules! each {
    ([$then:ident] $($module:ident::$Type:ident,)*) => {
        $($then::<starttls::$module::$Type>();)*
    };
}

#[test]
fn our_clients_upgrade() {
    starttls::for_each_protocol!(each[our_client_upgrades]);
}

#[test]
fn our_servers_upgrade() {
    starttls::for_each_protocol!(each[our_server_upgrades]);
}
