//! A receiver whose client sends everything at once, byte by byte, or nothing.

use std::time::Duration;

use starttls::Error as Rule;
use starttls::smtp::Smtp;
use starttls_tokio::{Answer, Deliver, Error, Inbox, Mail, Silent, Timeouts, upgrade};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::join;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::common::{Cut, Identity, Kept, client, pipe, read_to};

const MAIL: &str = "EHLO me\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<no@d.test>\r\nRCPT TO:<c@d.test>\r\n\
                    BDAT 5 LAST\r\na\r\n.\rNOOP\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n..x\r\n.\r\n\
                    QUIT\r\n";

#[tokio::test(start_paused = true)]
async fn mail_in_every_cut() {
    let identity = Identity::new();
    let mut first: Option<String> = None;
    for cut in (1..30).chain([16 * 1024]) {
        let (here, there) = pipe();
        let (mut kept, inbox) = (Kept::default(), Inbox::new(identity.inbox()));
        let (heard, end) = join!(
            async {
                let mut stream =
                    upgrade(here, client(), &identity.connector, "localhost").await.expect("TLS");
                stream.write_all(MAIL.as_bytes()).await.expect("written");
                stream.flush().await.expect("flushed");
                let heard = read_to(&mut stream, b"221 2.0.0 Goodbye\r\n").await;
                String::from_utf8(heard).expect("ASCII")
            },
            inbox.receive::<Smtp, _>(Cut(there, cut), None, &mut kept, Silent),
        );
        end.expect("a goodbye");
        let messages: Vec<_> = kept.mails().into_iter().map(|mail| mail.message).collect();
        // The chunk ends with half a line end, and is refused.
        assert_eq!(messages, [b".x\r\n"], "{heard}");
        assert_eq!(*first.get_or_insert_with(|| heard.clone()), heard, "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_inside_tls_times_out() {
    let identity = Identity::new();
    for (total, expected) in [(None, 300), (Some(Duration::from_secs(9)), 9)] {
        let (here, there) = pipe();
        let timeouts = total.map_or(Timeouts::new(), |total| Timeouts::new().with_total(total));
        let mut kept = Kept::default();
        let inbox = Inbox::new(identity.inbox().with_timeouts(timeouts));
        let start = Instant::now();
        let (last, end) = join!(
            async {
                let mut stream =
                    upgrade(here, client(), &identity.connector, "localhost").await.expect("TLS");
                let mut last = String::new();
                stream.read_to_string(&mut last).await.expect("an end");
                (last, start.elapsed())
            },
            inbox.receive::<Smtp, _>(there, None, &mut kept, Silent),
        );
        let failed = end.expect_err("the client is silent");
        assert_eq!(failed.protocol(), Some(Rule::TimedOut));
        assert_eq!(last.1.as_secs(), expected);
        assert_eq!(last.0, "421 4.4.2 Timeout, closing\r\n");
    }
}

/// The application's reply has to fit into a line.
#[tokio::test(start_paused = true)]
async fn invalid_replies() {
    #[derive(Debug)]
    struct Chatty;
    impl starttls_tokio::Deliver for Chatty {
        async fn sender(&mut self, _: &starttls_tokio::Mail) -> starttls_tokio::Answer {
            starttls_tokio::Answer::new(250, "a\r\n250 b")
        }

        async fn deliver(&mut self, _: &starttls_tokio::Mail) -> starttls_tokio::Answer {
            unreachable!("every sender is refused")
        }
    }
    let identity = Identity::new();
    let (here, there) = pipe();
    let inbox = Inbox::new(identity.inbox());
    let mut chatty = Chatty;
    let ((), end) = join!(
        async {
            let mut stream =
                upgrade(here, client(), &identity.connector, "localhost").await.expect("TLS");
            stream.write_all(b"EHLO a\r\nMAIL FROM:<a@b.test>\r\n").await.expect("written");
            stream.flush().await.expect("flushed");
            let _ = stream.read_to_end(&mut Vec::new()).await;
        },
        inbox.receive::<Smtp, _>(there, None, &mut chatty, Silent),
    );
    assert!(matches!(end, Err(Error::Argument { .. })), "{end:?}");
}

/// Counts the pieces of messages, and refuses a message after its first 20,000 bytes.
#[derive(Debug, Default)]
struct Counting {
    pieces: Vec<usize>,
    delivered: Vec<usize>,
}

impl Deliver for Counting {
    async fn keep(&mut self, _: &mut Mail, piece: &[u8]) -> Result<(), Answer> {
        self.pieces.push(piece.len());
        match self.pieces.iter().sum::<usize>() > 20_000 {
            true => Err(Answer::new(452, "4.3.1 No room")),
            false => Ok(()),
        }
    }

    async fn deliver(&mut self, mail: &Mail) -> Answer {
        assert_eq!(mail.message, b"");
        self.delivered.push(mail.size);
        self.pieces.clear();
        Answer::new(250, "2.0.0 Delivered")
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_in_pieces() {
    let identity = Identity::new();
    let (here, there) = pipe();
    let (mut counting, inbox) = (Counting::default(), Inbox::new(identity.inbox()));
    let line = format!("{}\r\n", "x".repeat(98));
    let mail = |lines: usize| {
        let message = line.repeat(lines);
        format!("MAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n{message}.\r\n")
    };
    let ((), end) = join!(
        async {
            let mut stream =
                upgrade(here, client(), &identity.connector, "localhost").await.expect("TLS");
            let say = format!("EHLO me\r\n{}{}{}", mail(190), mail(0), mail(5000));
            for piece in say.as_bytes().chunks(1 << 14) {
                stream.write_all(piece).await.expect("written");
            }
            stream.flush().await.expect("flushed");
            let heard = read_to(&mut stream, b"452 4.3.1 No room\r\n").await;
            let heard = String::from_utf8(heard).expect("ASCII");
            assert_eq!(heard.matches("250 2.0.0 Delivered").count(), 2, "{heard}");
            // The connection continues.
            stream.write_all(format!("{}QUIT\r\n", mail(1)).as_bytes()).await.expect("written");
            stream.flush().await.expect("flushed");
            let heard = read_to(&mut stream, b"221 2.0.0 Goodbye\r\n").await;
            assert!(String::from_utf8_lossy(&heard).contains("452 4.3.1 No room"));
        },
        inbox.receive::<Smtp, _>(there, None, &mut counting, Silent),
    );
    end.expect("a goodbye");
    assert_eq!(counting.delivered, [19_000, 0]);
    assert!(counting.pieces.iter().all(|piece| *piece <= 1 << 15), "{:?}", counting.pieces);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_service() {
    let identity = Identity::new();
    // The client's progress, and whether a mail gets its reply before the server's goodbye.
    for (said, mail) in [
        ("", false),
        ("EHLO me\r\n", false),
        ("EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\n", true),
        ("EHLO me\r\nMAIL FROM:<>\r\nRSET\r\n", false),
        ("EHLO me\r\nMAIL FROM:<>\r\nEHLO me\r\n", false),
    ] {
        let (here, there) = pipe();
        let (mut kept, inbox) = (Kept::default(), Inbox::new(identity.inbox()));
        let (end, ended) = oneshot::channel::<()>();
        let (heard, outcome) = join!(
            async {
                let mut stream =
                    upgrade(here, client(), &identity.connector, "localhost").await.expect("TLS");
                stream.write_all(said.as_bytes()).await.expect("written");
                stream.flush().await.expect("flushed");
                sleep(Duration::from_secs(1)).await;
                end.send(()).expect("a server");
                sleep(Duration::from_secs(1)).await;
                if mail {
                    stream.write_all(b".\r\n").await.expect("written");
                    stream.flush().await.expect("flushed");
                }
                let mut heard = String::new();
                stream.read_to_string(&mut heard).await.expect("an end");
                heard
            },
            inbox.receive_until::<Smtp, _>(there, None, &mut kept, Silent, async {
                drop(ended.await)
            }),
        );
        outcome.expect("an end in good order");
        let last = "421 4.3.2 The service is shutting down, closing\r\n";
        assert!(heard.ends_with(last) && heard.matches("421").count() == 1, "{said}: {heard}");
        assert_eq!(kept.mails().len(), usize::from(mail), "{said}: {heard}");
    }
    // Before TLS.
    let (mut here, there) = pipe();
    let (mut kept, inbox) = (Kept::default(), Inbox::new(identity.inbox()));
    let end = inbox.receive_until::<Smtp, _>(
        there,
        None,
        &mut kept,
        Silent,
        sleep(Duration::from_secs(1)),
    );
    let (heard, outcome) = join!(
        async {
            let mut heard = String::new();
            here.read_to_string(&mut heard).await.expect("an end");
            heard
        },
        end
    );
    outcome.expect("an end in good order");
    assert!(heard.starts_with("220 ") && heard.contains("\r\n421 4.3.2 "), "{heard}");
}
