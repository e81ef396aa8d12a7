//! The queue on disk: what is tried, what is reported, and what a kill leaves.

mod requests;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use starttls::mail::session::{Command as Refused, Fate};
use starttls::mail::{Address, Envelope};
use starttls_std::queue::{Queue, QueueSettings, Run};
use starttls_std::{Addresses, Answer, EmlFiles, Error, Receipt, Recorder};

const DAY: u64 = 24 * 60 * 60;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_262_400 + seconds)
}

fn open(directory: &Path) -> Queue {
    Queue::open(directory, QueueSettings::new("mx.example.test")).expect("a queue")
}

fn push(queue: &Queue, from: Option<&str>, to: &[&str], message: &[u8]) -> String {
    let address = |text| Address::new(text).expect("an address");
    let to: Vec<_> = to.iter().map(|to| address(to)).collect();
    let envelope = Envelope::new(from.map(address), &to).expect("recipients");
    queue.push(&envelope, message, at(0)).expect("stored")
}

/// Answers by the first digits of each recipient.
fn by_name(mail: &Addresses) -> Result<Receipt, Error> {
    let answer = |to: &String| {
        let code = to.get(..3).and_then(|code| code.parse().ok()).unwrap_or(250);
        Answer::new(code, format!("{}.1.1 as the name says", code / 100))
    };
    Ok(Receipt { recipients: mail.to.iter().map(answer).collect() })
}

/// The numbers of recipients that were delivered and that failed, and of mails that wait.
fn counts(run: Run) -> [usize; 3] {
    assert_eq!(run.unreadable, 0);
    [run.delivered, run.failed, run.waiting]
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn each_recipient_is_tried_until_it_is_done() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = open(directory.path());
    let id = push(
        &queue,
        Some("me@b.test"),
        &["a@b.test", "450@b.test", "550@b.test"],
        b"Subject: x\n\nbody\n",
    );
    let recorder = Recorder::new().with_outcome(by_name);
    assert_eq!(counts(queue.run(&recorder, at(0)).expect("a run")), [1, 1, 2]);
    let list = queue.list().expect("readable").waiting;
    assert_eq!((list[0].id.as_str(), list[0].attempts), (id.as_str(), 1));
    assert_eq!(list[0].to, [("450@b.test".to_owned(), "450 4.1.1 as the name says".to_owned())]);
    assert_eq!(list[0].next, at(30 * 60));
    assert_eq!((list[1].from.clone(), list[1].to[0].0.as_str()), (None, "me@b.test"));

    // The report is due at once, the mail after half an hour.
    assert_eq!(counts(queue.run(&recorder, at(1)).expect("a run")), [1, 0, 1]);
    let report = recorder.take().pop().expect("a report");
    assert_eq!((report.from, report.to), (None, vec!["me@b.test".to_owned()]));
    let text = String::from_utf8(report.message).expect("ASCII");
    for part in [
        "From: Mail delivery <MAILER-DAEMON@mx.example.test>\r\nTo: <me@b.test>\r\n",
        "Auto-Submitted: auto-replied\r\n",
        "Content-Type: multipart/report; report-type=delivery-status;\r\n",
        "Final-Recipient: rfc822; 550@b.test\r\nAction: failed\r\nStatus: 5.1.1\r\n",
        "Diagnostic-Code: smtp; 550 5.1.1 as the name says\r\n",
        "Subject: x\r\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("450@b.test") && !text.contains("body"), "{text}");

    assert_eq!(counts(queue.run(&recorder, at(30 * 60 - 1)).expect("a run")), [0, 0, 1]);
    assert!(recorder.take().is_empty(), "nothing is due");
    assert_eq!(counts(queue.run(&Recorder::new(), at(30 * 60)).expect("a run")), [1, 0, 0]);
    assert!(files(&directory.path().join("mails")).is_empty());
}

/// Each further mail would wait for the same server. They stay due.
#[test]
fn a_run_ends_if_the_server_is_not_reached() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = open(directory.path());
    for to in ["a@b.test", "b@b.test", "c@b.test"] {
        push(&queue, Some("me@b.test"), &[to], b"x\r\n");
    }
    let refused = || std::io::Error::from(ErrorKind::ConnectionRefused);
    let down = Recorder::new()
        .with_outcome(move |_| Err(Error::io(starttls_std::Doing::Connecting)(refused())));
    assert_eq!(counts(queue.run(&down, at(0)).expect("a run")), [0, 0, 3]);
    assert_eq!(down.take().len(), 1, "one attempt");
    assert_eq!(counts(queue.run(&Recorder::new(), at(0)).expect("a run")), [2, 0, 1]);
}

#[test]
fn a_mail_that_waits_is_not_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = open(directory.path());
    let id = push(&queue, Some("me@b.test"), &["a@b.test"], b"x\r\n");
    let closed = Recorder::new().with_outcome(|_| Err(starttls::Error::Closed.into()));
    assert_eq!(counts(queue.run(&closed, at(0)).expect("a run")), [0, 0, 1]);
    let file = directory.path().join("mails").join(format!("{id}.mail"));
    std::fs::write(&file, "starttls-queue 1\nnot a mail").expect("a file");
    assert_eq!(queue.run(&Recorder::new(), at(1)).expect("a run").unreadable, 0);
    assert_eq!(queue.run(&Recorder::new(), at(DAY)).expect("a run").unreadable, 1);
    // Only its first line is looked at.
    std::fs::write(&file, "not a mail").expect("a file");
    assert_eq!(queue.run(&Recorder::new(), at(1)).expect("a run").unreadable, 1);
    let list = queue.list().expect("readable");
    assert_eq!((list.waiting.len(), list.unreadable), (0, vec![file]));
}

/// A process that is being started shares the files of this one for a moment.
#[cfg(unix)]
#[test]
fn a_started_process_does_not_hold_the_queue() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = open(directory.path());
    push(&queue, None, &["a@b.test"], b"x\r\n");
    let starts = thread::spawn(|| {
        for _ in 0..200 {
            let mut child = Command::new("true").spawn().expect("it starts");
            child.wait().expect("it ends");
        }
    });
    let down = Recorder::new().with_outcome(|_| Err(starttls::Error::Closed.into()));
    while !starts.is_finished() {
        queue.run(&down, at(0)).expect("a run");
    }
    starts.join().expect("no panic");
}

/// Whatever the damage, the other mails are sent, and the right file is named.
#[test]
fn a_damaged_file_stops_no_other_mail() {
    for (kind, content) in [
        ("mail", &b"\xff\xff"[..]),
        ("mail", b""),
        ("state", b"\xff\xff"),
        ("state", b""),
        ("state", b"starttls-queue 2\n"),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let queue = open(directory.path());
        let id = push(&queue, None, &["a@b.test"], b"x\r\n");
        push(&queue, None, &["c@b.test"], b"y\r\n");
        let file = directory.path().join("mails").join(format!("{id}.{kind}"));
        std::fs::write(&file, content).expect("a file");
        let taken = Recorder::new();
        let run = queue.run(&taken, at(0)).expect("a run");
        assert_eq!((run.delivered, run.waiting, run.unreadable), (1, 0, 1), "{kind} {content:?}");
        let list = queue.list().expect("readable");
        assert_eq!((list.waiting.len(), list.unreadable), (0, vec![file]), "{kind} {content:?}");
    }
}

#[test]
fn a_mail_fails_after_five_days_and_a_report_is_not_reported() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = open(directory.path());
    push(&queue, Some("me@b.test"), &["a@b.test"], b"x\r\n");
    let down = Recorder::new().with_outcome(|_| Err(starttls::Error::Closed.into()));
    let mut now = 0;
    let mut attempts = 0;
    while now < 5 * DAY {
        assert_eq!(counts(queue.run(&down, at(now)).expect("a run")), [0, 0, 1]);
        attempts += 1;
        let next = queue.list().expect("readable").waiting[0].next;
        let pause = next.duration_since(at(now)).expect("later").as_secs();
        assert!((30 * 60..=3 * 60 * 60).contains(&pause), "{pause}");
        now += pause;
    }
    assert!(attempts > 40, "{attempts} attempts in five days");
    assert_eq!(counts(queue.run(&down, at(now)).expect("a run")), [0, 1, 1]);
    let list = queue.list().expect("readable").waiting;
    assert_eq!((list[0].from.clone(), list[0].to[0].0.as_str()), (None, "me@b.test"));
    let closed = Recorder::new().with_outcome(|mail| {
        Ok(Receipt { recipients: vec![Answer::new(550, "5.2.1 Closed"); mail.to.len()] })
    });
    assert_eq!(counts(queue.run(&closed, at(now)).expect("a run")), [0, 1, 0]);
    let text = String::from_utf8(closed.take().pop().expect("a report").message).expect("ASCII");
    assert!(text.contains("Status: 4.4.7\r\n"), "{text}");
}

#[test]
fn only_the_fault_of_a_mail_is_final() {
    let rejected = |command, code| {
        move || Error::Rejected {
            command,
            answer: Answer::new(code, "5.0.0 no"),
            recipients: Vec::new(),
        }
    };
    let unfinished = |fate| move || Error::from(starttls::Error::Closed).with_fate(fate);
    type Make = Box<dyn Fn() -> Error + Send + Sync>;
    let cases: Vec<(Make, [usize; 3])> = vec![
        (Box::new(rejected(Refused::Mail, 550)), [0, 2, 0]),
        (Box::new(rejected(Refused::Mail, 451)), [0, 0, 1]),
        (Box::new(rejected(Refused::Message, 554)), [0, 2, 0]),
        (Box::new(rejected(Refused::Auth, 535)), [0, 0, 1]),
        (Box::new(rejected(Refused::Greeting, 554)), [0, 0, 1]),
        (Box::new(|| starttls::Error::MessageTooLarge.into()), [0, 2, 0]),
        (Box::new(|| starttls::Error::NoSmtpUtf8.into()), [0, 2, 0]),
        (Box::new(|| starttls::Error::NoAuth.into()), [0, 0, 1]),
        (Box::new(|| starttls::Error::NotOffered.into()), [0, 0, 1]),
        (Box::new(|| starttls::Error::LineTooLong.into()), [0, 2, 0]),
        (Box::new(unfinished(Fate::Unknown)), [0, 0, 1]),
        (Box::new(unfinished(Fate::Accepted)), [2, 0, 0]),
    ];
    for (make, expected) in cases {
        let directory = tempfile::tempdir().expect("a directory");
        let queue = open(directory.path());
        push(&queue, None, &["a@b.test", "c@b.test"], b"x\r\n");
        let shown = make().to_string();
        let transport = Recorder::new().with_outcome(move |_| Err(make()));
        assert_eq!(counts(queue.run(&transport, at(0)).expect("a run")), expected, "{shown}");
    }
}

#[test]
fn two_runners_do_not_send_twice() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = open(directory.path());
    push(&queue, None, &["a@b.test"], b"x\r\n");
    let (path, inner) = (directory.path().to_owned(), Recorder::new());
    let transport = inner.clone().with_outcome(move |mail| {
        let error = open(&path).run(&Recorder::new(), at(0)).expect_err("locked");
        assert_eq!(error.to_string(), "locking the queue: another process runs this queue");
        // Pushing is possible meanwhile.
        push(&open(&path), None, &["c@b.test"], b"y\r\n");
        by_name(mail)
    });
    assert_eq!(counts(queue.run(&transport, at(0)).expect("a run")), [1, 0, 1]);
}

#[test]
fn files_that_a_kill_leaves() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = open(directory.path());
    let mails = directory.path().join("mails");
    // Incomplete files, a state without its mail, a file of another format.
    let id = push(&queue, Some("me@b.test"), &["550@b.test", "450@b.test"], b"x\r\n");
    for leftover in [format!("{id}.state"), format!("{id}-report1"), "half".to_owned()] {
        fs::write(directory.path().join("incoming").join(leftover), "half").expect("written");
    }
    fs::write(mails.join("gone.state"), "starttls-queue 1\n").expect("written");
    let run = queue.run(&Recorder::new().with_outcome(by_name), at(0)).expect("a run");
    assert_eq!(counts(run), [0, 1, 2]);
    assert!(!mails.join("gone.state").exists());
    assert_eq!(files(&directory.path().join("incoming")).len(), 1, "it may still be written");

    // The report was queued, and the failure was not recorded: there is still one report.
    fs::remove_file(mails.join(format!("{id}.state"))).expect("a state");
    let run = queue.run(&Recorder::new().with_outcome(by_name), at(0)).expect("a run");
    assert_eq!(run.failed, 1);
    let reports =
        queue.list().expect("readable").waiting.into_iter().filter(|mail| mail.from.is_none());
    assert!(reports.count() <= 1);

    fs::write(mails.join("other.mail"), "From: a@b\n\nx").expect("written");
    let run = queue.run(&Recorder::new(), at(DAY)).expect("a run");
    assert_eq!((run.unreadable, run.waiting), (1, 0));
    assert!(mails.join("other.mail").exists(), "an unknown file stays");
}

/// How many mails the killed processes push or send.
const MAILS: usize = 60;

/// The child of the tests that kill: pushes mails, or runs the queue into a directory of files.
#[test]
#[ignore = "the other tests run it"]
fn child() {
    let directory = PathBuf::from(env::var_os("QUEUE").expect("the queue's directory"));
    let queue = open(&directory.join("queue"));
    match env::var("ROLE").expect("a role").as_str() {
        "push" => {
            for n in 0..MAILS {
                let to = format!("{n}@b.test");
                let id =
                    push(&queue, Some("me@b.test"), &[&to], format!("Subject: {n}\r\n").as_bytes());
                println!("pushed {id}");
            }
        }
        role => {
            assert_eq!(role, "run");
            let files = EmlFiles::new(directory.join("arrived")).expect("a directory");
            queue.run(&files, at(DAY)).expect("a run");
        }
    }
}

/// Starts [`child`] and kills it after this time. Returns the lines that it printed, and whether it had ended.
fn kill(directory: &Path, role: &str, after: Duration) -> (Vec<String>, bool) {
    let mut child = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env("QUEUE", directory)
        .env("ROLE", role)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let stdout = BufReader::new(child.stdout.take().expect("piped"));
    let reader = thread::spawn(move || stdout.lines().map_while(Result::ok).collect::<Vec<_>>());
    thread::sleep(after);
    let _ = child.kill();
    let status = child.wait().expect("ended");
    (reader.join().expect("no panic"), status.success())
}

#[test]
fn a_pushed_mail_survives_a_kill() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut pushed = Vec::new();
    for n in 0..12 {
        let (lines, _) = kill(directory.path(), "push", Duration::from_millis(20 + 11 * n));
        // The first line of libtest may stand before the first id.
        pushed
            .extend(lines.iter().filter_map(|line| Some(line.split_once("pushed ")?.1.to_owned())));
    }
    assert!(pushed.len() > MAILS, "{} mails", pushed.len());
    let list = open(&directory.path().join("queue")).list().expect("readable").waiting;
    let there: Vec<_> = list.into_iter().map(|mail| mail.id).collect();
    for id in pushed {
        assert!(there.contains(&id), "{id} is lost");
    }
}

#[test]
fn every_mail_arrives_whenever_the_runner_is_killed() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = open(&directory.path().join("queue"));
    for n in 0..MAILS {
        push(&queue, None, &[&format!("{n}@b.test")], format!("Subject: {n}\r\n").as_bytes());
    }
    let mut kills = 0;
    for n in 0.. {
        let (_, has_ended) = kill(directory.path(), "run", Duration::from_millis(5 + 7 * n));
        if has_ended {
            break;
        }
        kills += 1;
    }
    assert!(queue.list().expect("readable").waiting.is_empty());
    let mut arrived = BTreeMap::<String, usize>::new();
    for file in files(&directory.path().join("arrived")) {
        let text = fs::read_to_string(&file).expect("a file");
        if file.extension().is_some_and(|end| end == "eml") {
            let subject = text.split_once("Subject: ").expect("a subject").1.trim_end();
            *arrived.entry(subject.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(arrived.len(), MAILS, "every mail arrived");
    // Each kill can double the one mail that was between its acceptance and its record.
    let doubled = arrived.values().map(|times| times - 1).sum::<usize>();
    assert!(doubled <= kills, "{doubled} doubled by {kills} kills");
}
