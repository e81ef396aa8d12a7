//! Files of options: an error names the option and the file, and has advice.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use starttls_std::Error;
use zeroize::Zeroizing;

use crate::outcome::Failure;

/// The longest first line of a password file, in bytes: longer than any password or token that can be sent.
const MAX_PASSWORD: usize = 8192;

/// An option with an unusable file: the reason, in a clause with the file as its subject, and advice.
pub(crate) fn unusable(
    option: &'static str,
    path: &Path,
    why: impl Display,
    advice: &str,
) -> Error {
    let path = path.display();
    let why = match advice {
        "" => format!("{path}: {why}"),
        advice => format!("{path}: {why}. {advice}"),
    };
    Error::Argument { what: option, why }
}

/// An option whose file or directory the system refuses.
pub(crate) fn unreadable(option: &'static str, path: &Path, error: &io::Error) -> Error {
    unusable(option, path, error, advice(error.kind()))
}

fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "Check the path.",
        io::ErrorKind::PermissionDenied => "Give this user access to it.",
        io::ErrorKind::IsADirectory => "Pass a file.",
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => "Pass a directory.",
        _ => "",
    }
}

/// A file that does not belong to an option.
pub(crate) fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    let message = format!("{what} {}: {error}", path.display());
    Failure::local(match advice(error.kind()) {
        "" => message,
        advice => format!("{message}. {advice}"),
    })
}

/// The content of an option's file.
pub(crate) fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| unreadable(option, path, &error))
}

/// Writes an option's file completely or not at all: a reader finds the old content or the new.
///
/// A device or a pipe is written as it is, since only a file can be replaced. A link's target is replaced, not the link.
pub(crate) fn replace(option: &'static str, path: &Path, content: &[u8]) -> Result<(), Error> {
    replaced(path, content).map_err(|error| unreadable(option, path, &error))
}

fn replaced(path: &Path, content: &[u8]) -> io::Result<()> {
    let old = match fs::metadata(path) {
        Ok(old) if old.is_file() => Some(old),
        Ok(_) => return fs::write(path, content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let path = if old.is_some() { fs::canonicalize(path)? } else { path.to_owned() };
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    builder.prefix(".starttls-");
    // The default is a file for its owner alone. The process's mask applies to this one, as to every new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(directory.unwrap_or(Path::new(".")))?;
    file.write_all(content)?;
    if let Some(old) = old {
        file.as_file().set_permissions(old.permissions())?;
    }
    file.persist(path)?;
    Ok(())
}

/// Advice for PEM files.
pub(crate) const CHAIN: &str =
    "Pass certificates in PEM, which begin with -----BEGIN CERTIFICATE-----.";
pub(crate) const KEY: &str = "Pass the private key in PEM, without a password.";

/// The password or token in the first line of the file of `--password-file`, wiped on drop.
pub(crate) fn password(path: &Path) -> Result<Zeroizing<String>, Failure> {
    const OPTION: &str = "--password-file";
    // A fixed size: a growing buffer would leave copies in freed memory.
    let mut octets = Zeroizing::new(vec![0; MAX_PASSWORD + 2]);
    let mut filled = 0;
    let mut file = File::open(path).map_err(|error| unreadable(OPTION, path, &error))?;
    let line = loop {
        let (read, free) = octets.split_at_mut(filled);
        if let Some(end) = read.iter().position(|octet| *octet == b'\n') {
            break &read[..end];
        }
        match file.read(free) {
            Ok(0) => break &read[..],
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(OPTION, path, &error).into()),
        }
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let bad = |why: &str| {
        let advice = "Put only the password in the first line.";
        Err(Failure::from(unusable(OPTION, path, why, advice)))
    };
    match std::str::from_utf8(line) {
        _ if line.len() > MAX_PASSWORD => bad("its first line is longer than 8,192 bytes"),
        Ok("") => bad("its first line is empty"),
        Ok(line) => Ok(Zeroizing::new(line.to_owned())),
        Err(_) => bad("its first line is not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        entries.map(|entry| name(entry).to_str().expect("UTF-8").to_owned()).collect()
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("report");
        for content in [&b"a long first content"[..], b"second"] {
            replace("--x", &path, content).expect("written");
            assert_eq!(fs::read(&path).expect("read"), content);
            assert_eq!(names(place.path()), ["report"]);
        }
        let missing = place.path().join("none").join("report");
        let error = replace("--x", &missing, b"").expect_err("no directory").to_string();
        assert!(error.contains("--x") && error.contains("Check the path"), "{error}");
        assert!(replace("--x", place.path(), b"").is_err());
        assert_eq!(names(place.path()), ["report"]);
    }

    #[cfg(unix)]
    #[test]
    fn readers_permissions_and_links_keep_what_they_have() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        let place = tempfile::tempdir().expect("a directory");
        let (path, link) = (place.path().join("report"), place.path().join("link"));
        let mode = || fs::metadata(&path).expect("a file").permissions().mode() & 0o777;
        replace("--x", &path, b"1").expect("written");
        let plain = place.path().join("plain");
        fs::write(&plain, b"").expect("written");
        let expected = fs::metadata(&plain).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode(), expected);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
        symlink(&path, &link).expect("a link");
        let mut reader = File::open(&path).expect("a file");
        replace("--x", &link, b"2").expect("written");
        let mut read = Vec::new();
        reader.read_to_end(&mut read).expect("read");
        assert_eq!(read, b"1", "a reader sees the old content until it opens the file again");
        assert_eq!((fs::read(&path).expect("read"), mode()), (b"2".to_vec(), 0o640));
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
        replace("--x", Path::new("/dev/null"), b"3").expect("written");
    }

    #[test]
    fn a_password_is_a_first_line_and_is_wiped() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let longest = "a".repeat(MAX_PASSWORD);
        for (text, expected) in [
            (&b"passw0rd"[..], Some("passw0rd")),
            (b"pass w0rd \r\nmore\n", Some("pass w0rd ")),
            (b"p\xc3\xa4ss\n\xff", Some("p\u{e4}ss")),
            ([longest.as_bytes(), b"\r\nmore"].concat().as_slice(), Some(&longest[..])),
            ([longest.as_bytes(), b"a\n"].concat().as_slice(), None),
            ([longest.as_bytes(), longest.as_bytes()].concat().as_slice(), None),
            (b"", None),
            (b"\r\npassw0rd", None),
            (b"\xff\n", None),
        ] {
            fs::write(file.path(), text).expect("written");
            // The type wipes it.
            let read: Option<Zeroizing<String>> = password(file.path()).ok();
            assert_eq!(read.as_deref().map(String::as_str), expected, "{}", text.escape_ascii());
        }
    }
}
