use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use starttls::mx::Domain;
use starttls::mx::sts::Id;
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::found::{Entry, Unfetched};

/// For how long what failed is not tried again (RFC 8461 §3.3).
const PAUSE: Duration = Duration::from_secs(300);

/// Where MTA-STS policies are kept until they expire. A sender that forgets them is at the mercy of who can
/// keep it from fetching them again (RFC 8461 §10.2). Clones share what they keep.
///
/// It also knows, in memory, which policies could not be fetched in the last five minutes, so that their hosts
/// are left alone.
#[derive(Clone, Debug)]
pub struct Cache {
    place: Place,
    failures: Arc<Mutex<HashMap<String, (Instant, Unfetched)>>>,
}

#[derive(Clone, Debug)]
enum Place {
    Memory(Arc<Mutex<HashMap<String, Entry>>>),
    Directory(PathBuf),
}

impl Default for Cache {
    fn default() -> Self {
        Self::memory()
    }
}

impl Cache {
    /// Keeps them as long as this or a clone of it lives: one for each domain that has a policy, of at most
    /// 64 KiB, and none is dropped for another. Who sends to whatever domain others name keeps them in a
    /// [`directory`](Self::directory).
    #[must_use]
    pub fn memory() -> Self {
        Self::at(Place::Memory(Arc::default()))
    }

    /// Keeps them in a directory, a file for each domain. Several processes may share it.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn directory(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        std::fs::create_dir_all(&path)?;
        Ok(Self::at(Place::Directory(path)))
    }

    fn at(place: Place) -> Self {
        Self { place, failures: Arc::default() }
    }

    pub(super) async fn find(&self, domain: &Domain) -> Option<Entry> {
        match &self.place {
            Place::Memory(entries) => {
                let entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
                entries.get(domain.as_str()).cloned()
            }
            Place::Directory(path) => {
                let file = file(path, domain);
                read(&spawn_blocking(|| std::fs::read(file)).await.ok()?.ok()?)
            }
        }
    }

    pub(super) async fn keep(&self, domain: &Domain, entry: Entry) -> io::Result<()> {
        match &self.place {
            Place::Memory(entries) => {
                let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
                entries.insert(domain.as_str().to_owned(), entry);
                Ok(())
            }
            Place::Directory(path) => {
                let (path, file) = (path.clone(), file(path, domain));
                spawn_blocking(move || write(&path, &file, &entry)).await?
            }
        }
    }

    /// Why the policy of a domain could not be fetched a moment ago.
    pub(super) fn failure(&self, domain: &Domain) -> Option<Unfetched> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, why) = failures.get(domain.as_str())?;
        (since.elapsed() < PAUSE).then(|| why.clone())
    }

    pub(super) fn note_failure(&self, domain: &Domain, why: &Unfetched) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, (since, _)| since.elapsed() < PAUSE);
        failures.insert(domain.as_str().to_owned(), (Instant::now(), why.clone()));
    }
}

/// A domain's name has nothing in it that means something to a file system.
fn file(directory: &Path, domain: &Domain) -> PathBuf {
    directory.join(format!("{domain}.policy"))
}

/// A line of id and time, and the policy. Whoever reads meanwhile finds the old one whole.
fn write(directory: &Path, file: &Path, entry: &Entry) -> io::Result<()> {
    let mut new = NamedTempFile::new_in(directory)?;
    writeln!(new, "{} {}", entry.id.as_str(), entry.fetched)?;
    new.write_all(&entry.text)?;
    new.persist(file)?;
    Ok(())
}

fn read(octets: &[u8]) -> Option<Entry> {
    let end = octets.iter().position(|octet| *octet == b'\n')?;
    let (line, text) = octets.split_at_checked(end)?;
    let (id, fetched) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let id = Id::new(id)?;
    Some(Entry { id, fetched: fetched.parse().ok()?, text: text.get(1..)?.to_vec() })
}

#[cfg(test)]
mod tests {
    use starttls::mx::ResultType;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_failed_is_left_alone() {
        let [domain, other] =
            ["a.example", "b.example"].map(|name| Domain::new(name).expect("a name"));
        let cache = Cache::memory();
        let why = Unfetched { result: ResultType::StsPolicyFetchError, reason: "no".into() };
        cache.note_failure(&domain, &why);
        for (seconds, expected) in [(0, Some(&why)), (299, Some(&why)), (1, None)] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            assert_eq!(cache.failure(&domain).as_ref(), expected);
            assert_eq!(cache.failure(&other), None);
        }
        cache.note_failure(&other, &why);
        assert_eq!(cache.failures.lock().expect("failures").len(), 1, "the old one is forgotten");
    }

    #[tokio::test]
    async fn what_is_kept_is_found() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = directory.path().join("policies");
        let domain = Domain::new("example.org").expect("a name");
        let other = Domain::new("example.com").expect("a name");
        let id = Id::new("1a").expect("an id");
        let entry = Entry { id, fetched: 7, text: b"version: STSv1\nmode: none\n".to_vec() };
        let newer = Entry { fetched: 8, ..entry.clone() };
        let on_disk = Cache::directory(&place).expect("a directory");
        for cache in [Cache::memory(), on_disk] {
            assert_eq!(cache.find(&domain).await, None);
            for entry in [&entry, &newer] {
                cache.keep(&domain, entry.clone()).await.expect("kept");
                assert_eq!(cache.clone().find(&domain).await.as_ref(), Some(entry));
            }
            assert_eq!(cache.find(&other).await, None);
        }
        let names: Vec<_> = std::fs::read_dir(&place)
            .expect("a directory")
            .map(|file| file.expect("a file").file_name())
            .collect();
        assert_eq!(names, ["example.org.policy"], "nothing is left beside it");
        for broken in [&b""[..], b"1a 7", b"1a\n", b"1a x\n", b"- 7\n", b"\xff 7\n"] {
            assert_eq!(read(broken), None);
        }
    }
}
