//! A receiver, told everything at once or octet by octet, or nothing.

use std::time::Duration;

use starttls::Error as Rule;
use starttls::smtp::Smtp;
use starttls_tokio::{Error, Inbox, Silent, Timeouts, upgrade};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::join;
use tokio::time::Instant;

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
            inbox.receive::<Smtp, _>(Cut(there, cut), &mut kept, Silent),
        );
        end.expect("a goodbye");
        let messages: Vec<_> = kept.mails().into_iter().map(|mail| mail.message).collect();
        // The chunk ends with half a line end, and is refused.
        assert_eq!(messages, [b".x\r\n"], "{heard}");
        assert_eq!(*first.get_or_insert_with(|| heard.clone()), heard, "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_inside_tls_has_an_end() {
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
            inbox.receive::<Smtp, _>(there, &mut kept, Silent),
        );
        let failed = end.expect_err("nobody speaks");
        assert_eq!(failed.protocol(), Some(Rule::TimedOut));
        assert_eq!(last.1.as_secs(), expected);
        assert_eq!(last.0, "421 4.4.2 Timeout, closing\r\n");
    }
}

/// What the application says has to fit into a line.
#[tokio::test(start_paused = true)]
async fn answers_that_cannot_be_said() {
    #[derive(Debug)]
    struct Chatty;
    impl starttls_tokio::Deliver for Chatty {
        async fn sender(&mut self, _: &str) -> starttls_tokio::Answer {
            starttls_tokio::Answer::new(250, "a\r\n250 b")
        }

        async fn deliver(&mut self, _: &starttls_tokio::Mail) -> starttls_tokio::Answer {
            unreachable!("nobody may send")
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
        inbox.receive::<Smtp, _>(there, &mut chatty, Silent),
    );
    assert!(matches!(end, Err(Error::Argument { .. })), "{end:?}");
}
