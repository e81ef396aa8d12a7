use std::collections::{HashMap, VecDeque};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use starttls::mx::Domain;
use starttls::mx::sts::{Id, Policy};
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::found::{Entry, Unfetched};
use super::route::now;

/// How long a failed fetch is not repeated (RFC 8461 §3.3).
const PAUSE: Duration = Duration::from_secs(300);

/// The maximum number of known failures. A further one replaces the oldest.
const MAX_FAILURES: usize = 10_000;

/// The maximum size of all policies in memory, in bytes.
const MAX_MEMORY: usize = 64 << 20;

/// A cache of MTA-STS policies, which it keeps until they expire. Clones share it.
///
/// Without a cache, an active attacker can block the fetch of a policy and thereby disable it (RFC 8461
/// §10.2). The cache also remembers, in memory and for five minutes, which policies could not be fetched, so
/// that their hosts are not asked again.
///
/// ```
/// use starttls_tokio::mx::Cache;
///
/// let cache = Cache::memory();
/// # let _ = cache;
/// ```
#[derive(Clone, Debug)]
pub struct Cache {
    place: Place,
    failures: Arc<Mutex<Failures>>,
}

#[derive(Clone, Debug)]
enum Place {
    Memory(Arc<Mutex<Memory>>),
    Directory(PathBuf),
}

#[derive(Debug, Default)]
struct Memory {
    entries: HashMap<String, Entry>,
    /// The size of all texts, in bytes.
    bytes: usize,
    /// When expired policies were last dropped.
    swept: Option<Instant>,
}

impl Memory {
    /// Keeps a policy, if there is room. Only expired policies make room: an attacker who names many domains must not be able
    /// to drop the policy of another one.
    fn keep(&mut self, domain: &Domain, entry: Entry) -> io::Result<()> {
        let old = self.entries.get(domain.as_str()).map_or(0, |old| old.text.len());
        let added = entry.text.len();
        if self.bytes - old + added > MAX_MEMORY {
            self.sweep();
        }
        let old = self.entries.get(domain.as_str()).map_or(0, |old| old.text.len());
        if self.bytes - old + added > MAX_MEMORY {
            return Err(io::Error::other("the memory for policies is full"));
        }
        self.bytes = self.bytes - old + added;
        self.entries.insert(domain.as_str().to_owned(), entry);
        Ok(())
    }

    /// Drops what has expired, at most once in [`PAUSE`], since it reads every policy.
    fn sweep(&mut self) {
        if self.swept.is_some_and(|swept| swept.elapsed() < PAUSE) {
            return;
        }
        self.swept = Some(Instant::now());
        let now = now();
        self.entries.retain(|_, entry| {
            let policy = Policy::read(&entry.text);
            policy.is_err()
                || policy.is_ok_and(|policy| policy.age_and_left(entry.fetched, now).is_some())
        });
        self.bytes = self.entries.values().map(|entry| entry.text.len()).sum();
    }
}

/// Which policies could not be fetched, and when.
#[derive(Debug, Default)]
struct Failures {
    known: HashMap<String, (Instant, Unfetched)>,
    /// In the order of time. A domain that failed again is here twice.
    order: VecDeque<(Instant, String)>,
}

impl Failures {
    fn note(&mut self, domain: &Domain, why: &Unfetched) {
        let now = Instant::now();
        while let Some((since, _)) = self.order.front()
            && (since.elapsed() >= PAUSE || self.order.len() >= MAX_FAILURES)
            && let Some((since, domain)) = self.order.pop_front()
        {
            if self.known.get(&domain).is_some_and(|(last, _)| *last == since) {
                self.known.remove(&domain);
            }
        }
        self.order.push_back((now, domain.as_str().to_owned()));
        self.known.insert(domain.as_str().to_owned(), (now, why.clone()));
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self::memory()
    }
}

impl Cache {
    /// Keeps the policies in memory, as long as this cache or a clone of it exists.
    ///
    /// A domain has at most one policy, of at most 64 KiB. All policies together have at most 64 MiB: further
    /// ones are not kept, and no policy is dropped for another before it expires. A sender to arbitrary domains should use a
    /// [`directory`](Self::directory).
    #[must_use]
    pub fn memory() -> Self {
        Self::at(Place::Memory(Arc::default()))
    }

    /// Keeps the policies in a directory, with one file for each domain. Several processes may share it.
    ///
    /// # Errors
    /// The directory cannot be created.
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
            Place::Memory(memory) => {
                let memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                memory.entries.get(domain.as_str()).cloned()
            }
            Place::Directory(path) => {
                let file = file(path, domain);
                read(&spawn_blocking(|| std::fs::read(file)).await.ok()?.ok()?)
            }
        }
    }

    pub(super) async fn keep(&self, domain: &Domain, entry: Entry) -> io::Result<()> {
        match &self.place {
            Place::Memory(memory) => {
                let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                memory.keep(domain, entry)
            }
            Place::Directory(path) => {
                let (path, file) = (path.clone(), file(path, domain));
                spawn_blocking(move || write(&path, &file, &entry)).await?
            }
        }
    }

    /// Why the domain's policy could not be fetched in the last five minutes.
    pub(super) fn failure(&self, domain: &Domain) -> Option<Unfetched> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, why) = failures.known.get(domain.as_str())?;
        (since.elapsed() < PAUSE).then(|| why.clone())
    }

    pub(super) fn note_failure(&self, domain: &Domain, why: &Unfetched) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.note(domain, why);
    }
}

/// The file of a domain's policy. A domain name contains no characters with a meaning in paths.
fn file(directory: &Path, domain: &Domain) -> PathBuf {
    directory.join(format!("{domain}.policy"))
}

/// Writes a line with the id and the time, then the policy. A concurrent reader finds the old file complete.
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
    async fn a_failed_fetch_is_not_repeated() {
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
        let known = || cache.failures.lock().expect("failures").known.len();
        assert_eq!(known(), 1, "the old one is dropped");
        for n in 0..=MAX_FAILURES {
            cache.note_failure(&Domain::new(&format!("d{n}.example")).expect("a name"), &why);
        }
        assert_eq!(known(), MAX_FAILURES);
        assert_eq!(cache.failure(&other), None);
        // A domain that fails repeatedly is counted once.
        for _ in 0..MAX_FAILURES {
            cache.note_failure(&other, &why);
        }
        assert_eq!((known(), cache.failure(&other)), (1, Some(why)));
    }

    #[tokio::test]
    async fn the_memory_is_limited() {
        let cache = Cache::memory();
        let entry =
            |size| Entry { id: Id::new("1").expect("an id"), fetched: 7, text: vec![b'x'; size] };
        let domain = |n| Domain::new(&format!("d{n}.example")).expect("a name");
        for n in 0..3 {
            let kept = cache.keep(&domain(n), entry(MAX_MEMORY / 2)).await;
            assert_eq!(kept.is_ok(), n < 2);
            assert_eq!(
                cache.find(&domain(n)).await.is_some(),
                n < 2,
                "none is dropped for another"
            );
        }
        // A smaller policy instead of a larger one of the same domain frees memory.
        cache.keep(&domain(0), entry(1)).await.expect("kept");
        cache.keep(&domain(3), entry(1)).await.expect("kept");
    }

    #[tokio::test]
    async fn expired_policies_make_room() {
        let cache = Cache::memory();
        let mut text = b"version: STSv1\nmode: none\nmax_age: 60\n".to_vec();
        text.extend(b"x: y\n".repeat(12_000));
        assert!(Policy::read(&text).is_ok());
        let entry =
            |fetched| Entry { id: Id::new("1").expect("an id"), fetched, text: text.clone() };
        let domain = |n| Domain::new(&format!("d{n}.example")).expect("a name");
        let full = MAX_MEMORY / text.len();
        for n in 0..full {
            let fetched = if n == 0 { now() } else { 7 };
            cache.keep(&domain(n), entry(fetched)).await.expect("kept");
        }
        cache.keep(&domain(full), entry(now())).await.expect("kept");
        assert!(cache.find(&domain(full)).await.is_some());
        assert!(cache.find(&domain(0)).await.is_some(), "one that has not expired stays");
        assert!(cache.find(&domain(1)).await.is_none());
    }

    #[tokio::test]
    async fn a_kept_policy_is_found() {
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
        assert_eq!(names, ["example.org.policy"], "no temporary file remains");
        for broken in [&b""[..], b"1a 7", b"1a\n", b"1a x\n", b"- 7\n", b"\xff 7\n"] {
            assert_eq!(read(broken), None);
        }
    }
}
