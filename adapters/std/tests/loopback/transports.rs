//! Transports that stand in for a server.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use starttls::mail::session::Fate;
use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls_std::{
    Answer, EmlFiles, Error, Maildir, Pool, PoolSettings, Receipt, Recorder, Transport,
};

use crate::common::{Identity, serve};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\n.\r\nend\r\n";

fn send(transport: &dyn Transport, from: Option<&str>, to: &[&str]) -> Result<Receipt, Error> {
    let address = |text| Address::new(text).expect("an address");
    let to: Vec<_> = to.iter().map(|to| address(to)).collect();
    transport.send(&Envelope::new(from.map(address), &to).expect("recipients"), MESSAGE)
}

/// A new directory, which is removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
        let path =
            std::env::temp_dir().join(format!("starttls-{name}-{}-{now}", std::process::id()));
        fs::create_dir(&path).expect("a new directory");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn a_server_is_a_transport() {
    let identity = Identity::new();
    let (port, server) = serve::<Smtp>(identity.inbox());
    send(&identity.mailer(port), None, &["a@b.test"]).expect("sent");
    assert_eq!(server.join().expect("no panic").0[0].message, MESSAGE);
    let (port, server) = serve::<Smtp>(identity.inbox());
    let pool = Pool::new(identity.settings(port), PoolSettings::new());
    send(&pool, None, &["a@b.test"]).expect("sent");
    pool.shutdown();
    assert_eq!(server.join().expect("no panic").0[0].message, MESSAGE);
}

#[test]
fn a_recorder_keeps_what_it_accepts() {
    let recorder = Recorder::new();
    send(&recorder, Some("me@b.test"), &["a@b.test", "c@b.test"]).expect("recorded");
    let mails = recorder.take();
    assert_eq!(mails[0].from.as_deref(), Some("me@b.test"));
    assert_eq!(mails[0].to, ["a@b.test", "c@b.test"]);
    assert_eq!(mails[0].message, MESSAGE);
    assert!(recorder.mails().is_empty());

    let choosy = recorder.clone().with_outcome(|mail| {
        let answer = |to: &String| Answer::new(if to.starts_with("no") { 550 } else { 250 }, "");
        Ok(Receipt { recipients: mail.to.iter().map(answer).collect() })
    });
    let receipt = send(&choosy, None, &["no@b.test", "c@b.test"]).expect("one is accepted");
    assert!(!receipt.is_complete());
    let failing = recorder.clone().with_outcome(|_| Err(starttls::Error::Closing.into()));
    let error = send(&failing, None, &["c@b.test"]).expect_err("it was told to fail");
    assert!(error.is_temporary());
    let to: Vec<_> = recorder.mails().into_iter().map(|mail| mail.to).collect();
    assert_eq!(to, [vec!["c@b.test".to_owned()], Vec::new()]);
}

#[test]
fn files_have_the_envelope_and_the_whole_message() {
    let directory = Directory::new("files");
    let eml = EmlFiles::new(directory.0.join("eml")).expect("a directory");
    for from in [None, Some("me@b.test")] {
        let receipt = send(&eml, from, &["a@b.test", "c@b.test"]).expect("stored");
        assert_eq!(receipt.recipients.len(), 2);
        assert!(receipt.is_complete());
    }
    let stored = files(&directory.0.join("eml"));
    assert_eq!(stored.len(), 2);
    for (file, from) in stored.iter().zip(["", "me@b.test"]) {
        assert_eq!(file.extension().and_then(|end| end.to_str()), Some("eml"));
        let trace = format!(
            "Return-Path: <{from}>\r\nDelivered-To: a@b.test\r\nDelivered-To: c@b.test\r\n"
        );
        assert_eq!(fs::read(file).expect("a file"), [trace.as_bytes(), MESSAGE].concat());
    }

    let place = directory.0.join("Maildir");
    let maildir = Maildir::new(&place).expect("a Maildir");
    for _ in 0..3 {
        send(&maildir, None, &["a@b.test"]).expect("stored");
    }
    assert_eq!(files(&place.join("new")).len(), 3);
    assert_eq!(files(&place.join("tmp")).len(), 0);
    assert!(place.join("cur").is_dir());

    fs::remove_dir_all(&place).expect("removed");
    let error = send(&maildir, None, &["a@b.test"]).expect_err("no directory");
    assert!(error.to_string().starts_with("storing the mail: "), "{error}");
    assert_eq!(error.fate(), Fate::NotSent);
}

#[cfg(unix)]
#[test]
fn a_program_tells_by_its_exit_status() {
    use std::os::unix::fs::PermissionsExt as _;

    use starttls_std::Sendmail;

    let directory = Directory::new("sendmail");
    let program = directory.0.join("sendmail");
    let (seen, said) = (directory.0.join("message"), directory.0.join("arguments"));
    let run = |end: &str, from: Option<&str>, to: &[&str]| {
        let script = format!(
            "#!/bin/sh\necho \"$@\" >'{}'\ncat >'{}'\n{end}\n",
            said.display(),
            seen.display()
        );
        fs::write(&program, script).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
        // Through the shell: a program that was just written may still be open in another thread's child.
        let sendmail = Sendmail::new("/bin/sh").with_argument(program.as_os_str());
        send(&sendmail.with_timeout(Duration::from_secs(60)), from, to)
    };
    let receipt = run("", Some("me@b.test"), &["-x@b.test", "c@b.test"]).expect("accepted");
    assert!(receipt.is_complete() && receipt.recipients.len() == 2);
    assert_eq!(fs::read(&seen).expect("a file"), b"Subject: x\n\n.\nend\n");
    let arguments = fs::read_to_string(&said).expect("a file");
    assert_eq!(arguments, "-i -f me@b.test -- -x@b.test c@b.test\n");

    for (status, code) in [(75, 451), (71, 451), (67, 554), (1, 554)] {
        let end = format!("echo 'no such user' >&2; exit {status}");
        let error = run(&end, None, &["a@b.test"]).expect_err("refused");
        let Error::Rejected { answer, .. } = &error else { panic!("{error}") };
        assert_eq!(answer.code, code, "{error}");
        assert!(answer.text.ends_with(&format!("exit status {status}: no such user")), "{error}");
        assert_eq!(error.is_temporary(), code == 451);
    }
    assert!(fs::read_to_string(&said).expect("a file").starts_with("-i -f <> -- "));

    let killed = run("kill -9 $$", None, &["a@b.test"]).expect_err("killed");
    assert_eq!(killed.fate(), Fate::Unknown);
    let missing = Sendmail::new(directory.0.join("missing"));
    let missing = send(&missing, None, &["a@b.test"]).expect_err("no program");
    assert!(missing.to_string().starts_with("starting the sendmail program: "), "{missing}");
    let slow = Sendmail::new("/bin/sh").with_argument("-c").with_argument("sleep 600");
    let slow = send(&slow.with_timeout(Duration::from_millis(20)), None, &["a@b.test"]);
    assert_eq!(slow.expect_err("too slow").fate(), Fate::Unknown);
}
