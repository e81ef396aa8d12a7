//! `starttls check` and `starttls test-client`.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustls::pki_types::ServerName;
use starttls_check::{
    CannotRun, Case, ClientTest, Outcome, Report, Role, ServerTest, TestAuthority,
};
use starttls_std::Mode;

use crate::args::{Check, TestClient};
use crate::conformance::{self, Live, Reports, unable};
use crate::dial::authorities;
use crate::identity::private;
use crate::out::tell;
use crate::outcome::Failure;
use crate::stop::Stop;
use crate::url::Scheme;

/// Tests a server.
pub(crate) fn server(args: &Check) -> Result<(), Failure> {
    let scheme = args.url.scheme;
    let cases = ServerTest::cases(&scheme.protocol()).map_err(cannot)?;
    let cases = args.reports.choose(&cases)?;
    if args.reports.list {
        args.reports.show(&cases);
        return Ok(());
    }
    let test = server_test(args).map_err(unable)?;
    let report = |subject: &SocketAddr| {
        Report::new(Role::Server, scheme.protocol().name, subject.to_string())
    };
    let (test, address) = test;
    run(&args.reports, scheme, &report(&address), &cases, |chosen, progress| {
        test.run(chosen, progress)
    })
}

fn server_test(args: &Check) -> Result<(ServerTest, SocketAddr), Failure> {
    let url = args.url.named(args.name.as_deref()).map_err(Failure::local)?;
    let protocol = url.scheme.protocol();
    if url.scheme.mode == Mode::Implicit {
        let name = protocol.name;
        let why = format!("{}:// has no upgrade to test. Use {name}://.", url.scheme.name());
        return Err(Failure::local(why));
    }
    if url.socket.is_some() {
        return Err(Failure::local("a Unix socket cannot be tested. Use HOST:PORT.".to_owned()));
    }
    let host = &url.host;
    let found = (&host[..], url.port).to_socket_addrs();
    let addresses: Vec<_> = found.into_iter().flatten().collect();
    let far = addresses.iter().find(|address| !is_near(address.ip()));
    if let Some(address) = far.filter(|_| !args.i_am_allowed) {
        return Err(Failure::local(format!(
            "{address} is not in a private network. Test only servers of your own, or with their owner's consent: then pass \
             --i-am-allowed."
        )));
    }
    let address = reachable(&addresses, args.patience)
        .ok_or_else(|| Failure::local(format!("{host} has no address. Check the name.")))?;
    let name = ServerName::try_from(url.name().to_owned());
    let name = name.map_err(|error| Failure::local(format!("{}: {error}", url.name())))?;
    let trusted = authorities(args.ca.as_deref())?.without_alpn();
    let mut test = ServerTest::new(protocol, address, name)
        .map_err(|error| Failure::local(error.to_string()))?
        .with_verification(trusted.rustls())
        .with_patience(args.patience);
    let usual = protocol.implicit_port.filter(|_| url.port == protocol.port);
    if let Some(port) = args.implicit_port.or(usual) {
        test = test.with_implicit(SocketAddr::new(address.ip(), port));
    }
    if let Some(mailbox) = &args.mail_to {
        test = test.with_mailbox(mailbox);
    }
    if let Some(deadline) = args.deadline {
        test = test.with_deadline(deadline);
    }
    if let Some(deadline) = args.command_deadline {
        test = test.with_command_deadline(deadline);
    }
    if args.failing_logins {
        test = test.with_failing_logins();
    }
    Ok((if args.local_is_remote { test.with_local_as_remote() } else { test }, address))
}

/// The first address that can be reached, or else the first one. A single address is not tried.
fn reachable(addresses: &[SocketAddr], patience: Duration) -> Option<SocketAddr> {
    let tried = || {
        let mut addresses = addresses.iter();
        addresses.find(|address| TcpStream::connect_timeout(address, patience).is_ok())
    };
    let chosen = if addresses.len() > 1 { tried() } else { None };
    chosen.or(addresses.first()).copied()
}

/// Loopback, link-local and private networks (RFC 1918, RFC 3927, RFC 4193, RFC 4291).
fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

/// Tests a client.
pub(crate) fn client(args: &TestClient) -> Result<(), Failure> {
    let protocol = args.scheme.protocol();
    let cases = ClientTest::cases(&protocol).map_err(cannot)?;
    let cases = args.reports.choose(&cases)?;
    if args.reports.list {
        args.reports.show(&cases);
        return Ok(());
    }
    if args.scheme.mode == Mode::Implicit {
        let why = format!("{} has no upgrade to test. Use {}.", args.scheme.name(), protocol.name);
        return Err(unable(Failure::local(why)));
    }
    let test = client_test(args).map_err(unable)?;
    let stop = Arc::new(AtomicBool::new(false));
    let test = test.with_stop(Arc::clone(&stop));
    // The client is in a process group of its own, so that signals to this one do not end it.
    let asked = Stop::listen_apart("ending the client").map_err(unable)?;
    thread::spawn(move || {
        while !asked.is_asked() {
            thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::SeqCst);
    });
    let empty = Report::new(Role::Client, protocol.name, test.subject());
    run(&args.reports, args.scheme, &empty, &cases, |chosen, progress| test.run(chosen, progress))
}

fn client_test(args: &TestClient) -> Result<ClientTest, Failure> {
    let local = |error: CannotRun| Failure::local(error.to_string());
    let protocol = args.scheme.protocol();
    let test = match args.listen {
        Some(address) => {
            let listener = TcpListener::bind(address)
                .map_err(|error| Failure::local(format!("listening on {address}: {error}")))?;
            ClientTest::listening(protocol, listener)
                .map(|test| test.with_login(&args.user, &args.password))
        }
        None => ClientTest::new(protocol, args.command.clone()),
    };
    let mut test = test.map_err(local)?.with_host(&args.host).with_patience(args.patience);
    if let Some(deadline) = args.deadline {
        test = test.with_deadline(deadline);
    }
    if let Some(wait) = args.wait {
        test = test.with_wait(wait);
    }
    if let Some(file) = &args.authority {
        test = test.with_authority(kept_authority(file)?);
    }
    if let (Some(address), Some(file)) = (args.listen, &args.authority) {
        tell!(
            "configure the device: {} server {}, port {}, TLS by STARTTLS, user {}, password {}; it has to trust {}; it has to connect within {} s, again and again",
            protocol.name,
            args.host,
            address.port(),
            args.user,
            args.password,
            file.display(),
            args.patience.as_secs_f32()
        );
    }
    Ok(test)
}

/// The CA in this file, or a new one that is kept there.
fn kept_authority(file: &Path) -> Result<TestAuthority, Failure> {
    let mut key = file.as_os_str().to_owned();
    key.push(".key");
    let key = Path::new(&key);
    let in_file = |at: &Path, error: &dyn std::fmt::Display| {
        Failure::local(format!("{}: {error}", at.display()))
    };
    if !file.exists() {
        if key.exists() {
            let (key, file) = (key.display(), file.display());
            let why = format!(
                "{key} exists without {file}. Restore that, or remove the key for a new CA."
            );
            return Err(Failure::local(why));
        }
        let made = TestAuthority::generate().map_err(|error| in_file(file, &error))?;
        private(key)
            .and_then(|mut file| file.write_all(made.key_pem().as_bytes()))
            .map_err(|error| in_file(key, &error))?;
        std::fs::write(file, made.certificate_pem()).map_err(|error| {
            let _ = std::fs::remove_file(key);
            in_file(file, &error)
        })?;
        return Ok(made);
    }
    let read = |at: &Path| std::fs::read_to_string(at).map_err(|error| in_file(at, &error));
    TestAuthority::from_pem(&read(file)?, &read(key)?).map_err(|error| in_file(file, &error))
}

fn cannot(error: CannotRun) -> Failure {
    unable(Failure::local(error.to_string()))
}

/// Runs the chosen cases, and reports.
fn run(
    reports: &Reports,
    scheme: Scheme,
    empty: &Report,
    cases: &[Case],
    test: impl FnOnce(&dyn Fn(&Case) -> bool, &mut dyn FnMut(&Outcome)) -> Result<Report, CannotRun>,
) -> Result<(), Failure> {
    let protocol = scheme.protocol();
    let known = [ServerTest::cases(&protocol), ClientTest::cases(&protocol)];
    let known: Vec<Case> = known.into_iter().flatten().flatten().collect();
    let baseline = reports.baseline(&known)?;
    let live = Live::new(reports, empty, &baseline, cases);
    let mut next = cases.iter();
    let begin = |case: Option<&Case>| {
        if let Some(case) = case {
            live.begin(case);
        }
    };
    begin(next.next());
    let report = test(&|case| cases.iter().any(|chosen| chosen.id == case.id), &mut |outcome| {
        live.end(outcome);
        begin(next.next());
    });
    drop(live);
    conformance::finish(&report.map_err(cannot)?, reports, &baseline)
}
