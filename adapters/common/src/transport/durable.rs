use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Writes a file under its final name only when it is complete and on disk, so that no other process sees
/// half of it, and none of it is lost when the machine loses power.
///
/// `incoming` is its name until then, on the same file system; a file of that name is an error. A file named
/// `place` is replaced.
///
/// # Errors
/// Those of the operating system. Then `place` is as it was, unless only syncing its directory failed, and
/// `incoming` is gone if the system permits it.
pub fn write_durably(incoming: &Path, place: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let written = File::create_new(incoming).and_then(|mut file| {
        let whole = parts.iter().try_for_each(|part| file.write_all(part));
        let moved = whole.and_then(|()| file.sync_all()).and_then(|()| fs::rename(incoming, place));
        // The first error counts; the file is useless.
        moved.inspect_err(|_| drop(fs::remove_file(incoming)))
    });
    written.and_then(|()| sync_names(place))
}

/// Creates a directory and those above it that do not exist, so that none is lost when the machine loses power.
///
/// # Errors
/// Those of the operating system.
pub fn create_durably(directory: &Path) -> io::Result<()> {
    let is_new = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let made: Vec<_> = directory.ancestors().take_while(is_new).collect();
    fs::create_dir_all(directory)?;
    made.into_iter().rev().try_for_each(sync_names)
}

/// Syncs the directory that contains this name, after the name was made or removed.
///
/// # Errors
/// Those of the operating system.
pub fn sync_names(of: &Path) -> io::Result<()> {
    // Elsewhere a directory cannot be opened as a file.
    if cfg!(unix) {
        let directory = of.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_with_those_above() {
        let directory = tempfile::tempdir().expect("a directory");
        let deep = directory.path().join("a/b/c");
        for _ in 0..2 {
            create_durably(&deep).expect("made, or there");
            assert!(deep.is_dir());
        }
        let file = deep.join("file");
        write_durably(&deep.join("incoming"), &file, &[b"x", b"y"]).expect("written");
        assert_eq!(fs::read(&file).expect("read"), b"xy");
        assert!(create_durably(&file).is_err() && create_durably(&file.join("d")).is_err());
        create_durably(Path::new(".")).expect("there");
    }
}
