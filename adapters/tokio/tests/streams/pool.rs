//! A pool of connections that many tasks share.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use starttls::Policy;
use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls_tokio::{Doing, Error, Inbox, Pool, PoolSettings, Prompt, Receipt, Silent};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, yield_now};

use crate::common::{Identity, Kept, read_to};

async fn send(pool: &Pool, to: &str) -> Result<Receipt, Error> {
    let to = [Address::new(to).expect("an address")];
    pool.send(&Envelope::new(None, &to).expect("recipients"), b"x\r\n").await
}

async fn listener() -> (u16, TcpListener) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    (listener.local_addr().expect("an address").port(), listener)
}

/// The connections of a server at this moment, the most of them, and all of them.
#[derive(Default)]
struct Counts([AtomicUsize; 3]);

/// Receives mail on any number of connections.
async fn serve(identity: &Identity) -> (u16, Kept, Arc<Counts>) {
    let (port, listener) = listener().await;
    let (kept, counts, inbox) = (Kept::default(), Arc::<Counts>::default(), identity.inbox());
    let (mails, counted) = (kept.clone(), Arc::clone(&counts));
    tokio::spawn(async move {
        loop {
            let stream = listener.accept().await.expect("a connection").0;
            let (inbox, mut kept) = (Inbox::new(inbox.clone()), mails.clone());
            let counts = Arc::clone(&counted);
            let [now, most, all] = &counts.0;
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            all.fetch_add(1, Ordering::SeqCst);
            let counts = Arc::clone(&counts);
            tokio::spawn(async move {
                let stream = Prompt::new(stream).expect("an option");
                inbox.receive::<Smtp, _>(stream, None, &mut kept, Silent).await.expect("a goodbye");
                counts.0[0].fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (port, kept, counts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_tasks_share_four_connections() {
    let identity = Identity::new();
    let (port, kept, counts) = serve(&identity).await;
    let pool = Pool::new(identity.settings(port), PoolSettings::new().with_connections(4));
    let mut tasks = JoinSet::new();
    for n in 0..50 {
        let pool = pool.clone();
        tasks.spawn(async move { send(&pool, &format!("{n}@b.test")).await });
    }
    while let Some(sent) = tasks.join_next().await {
        assert!(sent.expect("no panic").expect("sent").is_complete());
    }
    pool.shutdown().await;
    let mut to: Vec<_> = kept.mails().into_iter().map(|mail| mail.to[0].path.clone()).collect();
    to.sort();
    let mut expected: Vec<_> = (0..50).map(|n| format!("{n}@b.test")).collect();
    expected.sort();
    assert_eq!(to, expected, "each mail arrives once");
    let [_, most, all] = counts.0.each_ref().map(|count| count.load(Ordering::SeqCst));
    assert!(most <= 4 && all <= 4, "{most} at once, {all} in all");
}

#[tokio::test]
async fn shutdown_lets_a_mail_finish_and_refuses_others() {
    let identity = Identity::new();
    let (port, listener) = listener().await;
    let (go_on, held) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let mut stream = listener.accept().await.expect("a connection").0;
        let mut heard = Vec::new();
        stream.write_all(b"220 mx\r\n").await.expect("written");
        let replies = [
            "250 mx\r\n",
            "250 mx\r\n",
            "250 ok\r\n",
            "250 ok\r\n",
            "354 go\r\n",
            "250 taken\r\n",
            "221 bye\r\n",
        ];
        let mut held = Some(held);
        for reply in replies {
            let end = if reply.contains("taken") { &b".\r\n"[..] } else { b"\r\n" };
            heard.extend(read_to(&mut stream, end).await);
            if reply.contains("taken") {
                held.take().expect("once").await.expect("a signal");
            }
            stream.write_all(reply.as_bytes()).await.expect("written");
        }
        String::from_utf8(heard).expect("text")
    });
    let settings = identity.settings(port).with_policy(Policy::Opportunistic);
    let pool = Pool::new(settings, PoolSettings::new().with_connections(1));
    let (running, waiting) = (pool.clone(), pool.clone());
    let running = tokio::spawn(async move { send(&running, "a@b.test").await });
    while pool_is_free(&pool) {
        yield_now().await;
    }
    let waiting = tokio::spawn(async move { send(&waiting, "b@b.test").await });
    yield_now().await;
    let mut shutdown = pin!(pool.shutdown());
    assert!(test_dropped::poll_once(shutdown.as_mut()).is_pending());
    let error = waiting.await.expect("no panic").expect_err("it had no connection");
    assert!(matches!(error, Error::Io { doing: Doing::Waiting, .. }), "{error}");
    go_on.send(()).expect("a server");
    shutdown.await;
    assert!(running.await.expect("no panic").expect("sent").is_complete());
    assert!(server.await.expect("no panic").ends_with("QUIT\r\n"));
    send(&pool, "c@b.test").await.expect_err("it is shut down");
}

/// Whether no mail is under way, as `Debug` shows it.
fn pool_is_free(pool: &Pool) -> bool {
    format!("{pool:?}").contains("free: 1")
}

#[tokio::test]
async fn a_dropped_mail_frees_its_place_and_closes_its_connection() {
    let identity = Identity::new();
    let (port, silent) = listener().await;
    let settings = identity.settings(port);
    let pool = Pool::new(settings, PoolSettings::new().with_connections(1));
    {
        let mut mail = pin!(send(&pool, "a@b.test"));
        let mut stream = tokio::select! {
            _ = mail.as_mut() => panic!("the server is silent"),
            accepted = silent.accept() => accepted.expect("a connection").0,
        };
        assert!(!pool_is_free(&pool));
        let mut second = Box::pin(send(&pool, "b@b.test"));
        assert!(test_dropped::poll_once(second.as_mut()).is_pending());
        drop(second);
        mail.set(send(&pool, "dropped@b.test"));
        assert!(pool_is_free(&pool), "the first future is dropped, the next one not polled");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("closed by the client");
        assert_eq!(rest, b"");
    }
    drop(silent);
    let (port, kept, _) = serve(&identity).await;
    let pool = Pool::new(identity.settings(port), PoolSettings::new().with_connections(1));
    for polls in 1..40 {
        let mut mail = Box::pin(send(&pool, "a@b.test"));
        for _ in 0..polls {
            if test_dropped::poll_once(mail.as_mut()).is_ready() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(mail);
        assert!(pool_is_free(&pool), "after {polls} polls");
    }
    send(&pool, "last@b.test").await.expect("the place is free");
    let mails = kept.mails();
    assert_eq!(mails.iter().filter(|mail| mail.to[0].path == "last@b.test").count(), 1);
    pool.shutdown().await;
}
