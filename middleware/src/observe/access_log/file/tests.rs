use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use time::macros::offset;

use super::*;

/// A folder that is removed with its content.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("enfilade-log-file-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn log(&self) -> PathBuf {
        self.0.join("access.log")
    }

    /// The files by name, with what they have.
    fn files(&self) -> Vec<(String, String)> {
        let entries = fs::read_dir(&self.0)
            .unwrap()
            .map(|pending| pending.unwrap().path());
        let mut files: Vec<_> = entries
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, fs::read_to_string(path).unwrap())
            })
            .collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    files.iter().map(own).collect()
}

#[test]
fn what_fits_is_whole_lines() {
    let cases = [
        (0, None, "ab\ncd\n", 6),
        (0, Some(6), "ab\ncd\n", 6),
        (0, Some(5), "ab\ncd\n", 3),
        (0, Some(2), "ab\ncd\n", 3),
        (0, Some(0), "ab\ncd\n", 3),
        (0, Some(1), "abcd", 4),
        (1, Some(2), "ab\ncd\n", 0),
        (1, Some(4), "ab\ncd\n", 3),
        (9, Some(4), "ab\n", 0),
        (0, Some(4), "", 0),
    ];
    for (size, max, lines, expected) in cases {
        assert_eq!(
            fitting(size, max, lines.as_bytes()),
            expected,
            "{size} {max:?} {lines:?}"
        );
    }
}

#[test]
fn a_file_is_rotated_by_size() {
    let folder = Folder::new();
    fs::write(folder.log(), "there\n").unwrap();
    let mut file = LogFile::open(folder.log()).unwrap().max_bytes(8).keep(2);
    file.write_all(b"1\n2\n3\n4\n5\n6\n7\n8\n9\nlonger than that\nx\n")
        .unwrap();
    let expected = [
        ("access.log", "x\n"),
        ("access.log.1", "longer than that\n"),
        ("access.log.2", "6\n7\n8\n9\n"),
    ];
    assert_eq!(folder.files(), owned(&expected));
    let mut none = LogFile::open(folder.log()).unwrap().max_bytes(2).keep(0);
    none.write_all(b"y\n").unwrap();
    assert_eq!(folder.files()[0].1, "y\n");
    assert_eq!(folder.files().len(), 3);
}

#[test]
fn a_file_is_rotated_by_time() {
    for (period, offset, times) in [
        (Period::Hour, offset!(UTC), [3_599, 3_600, 7_199, 7_200]),
        (Period::Hour, offset!(+0:30), [1_799, 1_800, 5_399, 5_400]),
        (Period::Day, offset!(-1), [89_999, 90_000, 176_399, 176_400]),
    ] {
        let folder = Folder::new();
        let time = Arc::new(AtomicI64::new(0));
        let clock = time.clone();
        let now =
            move || OffsetDateTime::from_unix_timestamp(clock.load(Ordering::Relaxed)).unwrap();
        let file = LogFile::open(folder.log()).unwrap();
        let mut file = file.clock(now).every(period).utc_offset(offset);
        for (number, seconds) in times.into_iter().enumerate() {
            time.store(seconds, Ordering::Relaxed);
            file.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        let expected = [
            ("access.log", "3\n"),
            ("access.log.1", "1\n2\n"),
            ("access.log.2", "0\n"),
        ];
        assert_eq!(folder.files(), owned(&expected));
    }
}

#[test]
fn a_file_of_yesterday_is_rotated_after_a_restart() {
    let folder = Folder::new();
    fs::write(folder.log(), "old\n").unwrap();
    let tomorrow = clock::dates()() + time::Duration::DAY;
    let file = LogFile::open(folder.log()).unwrap().clock(move || tomorrow);
    let mut file = file.every(Period::Day);
    file.write_all(b"new\n").unwrap();
    let expected = [("access.log", "new\n"), ("access.log.1", "old\n")];
    assert_eq!(folder.files(), owned(&expected));
}

#[test]
fn a_file_that_was_moved_is_opened_anew() {
    let folder = Folder::new();
    let mut file = LogFile::open(folder.log()).unwrap().max_bytes(9);
    let handle = file.handle();
    file.write_all(b"before\n").unwrap();
    fs::rename(folder.log(), folder.0.join("moved")).unwrap();
    file.write_all(b"-\n").unwrap();
    handle.reopen().unwrap();
    assert_eq!(folder.files()[0].1, "", "it is there at once");
    file.write_all(b"after\n").unwrap();
    let expected = [("access.log", "after\n"), ("moved", "before\n-\n")];
    assert_eq!(folder.files(), owned(&expected));
    // One that was not moved is gone on with.
    handle.reopen().unwrap();
    file.write_all(b"x\n").unwrap();
    file.write_all(b"yy\n").unwrap();
    assert_eq!(folder.files()[0].1, "yy\n");
    assert_eq!(folder.files()[1].1, "after\nx\n");
}

#[test]
fn no_line_is_lost_where_a_rotation_fails() {
    let folder = Folder::new();
    let time = Arc::new(AtomicI64::new(0));
    let clock = time.clone();
    let now = move || OffsetDateTime::from_unix_timestamp(clock.load(Ordering::Relaxed)).unwrap();
    let file = LogFile::open(folder.log()).unwrap().max_bytes(4);
    let mut file = file.clock(now);
    // A folder with something in it cannot be replaced.
    let in_the_way = folder.0.join("access.log.1");
    fs::create_dir_all(in_the_way.join("x")).unwrap();
    file = file.keep(1);
    file.write_all(b"one\n").unwrap();
    file.write_all(b"two\n").unwrap();
    assert_eq!(fs::read_to_string(folder.log()).unwrap(), "one\ntwo\n");
    fs::remove_dir_all(in_the_way).unwrap();
    file.write_all(b"3\n").unwrap();
    time.store(TRY_AGAIN, Ordering::Relaxed);
    file.write_all(b"4\n").unwrap();
    let expected = [("access.log", "4\n"), ("access.log.1", "one\ntwo\n3\n")];
    assert_eq!(folder.files(), owned(&expected));
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let folder = Folder::new();
    let path = folder.0.join("no such folder/access.log");
    let error = LogFile::open(&path).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot open {}: ", path.display()))
    );
    let file = LogFile::open(folder.log()).unwrap();
    let handle = file.handle();
    fs::remove_dir_all(&folder.0).unwrap();
    assert_eq!(handle.reopen().unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(format!("{file:?} {handle:?}").contains("access.log"));
}

#[cfg(unix)]
#[test]
fn a_log_is_not_for_everybody() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    drop(LogFile::open(folder.log()).unwrap());
    let mode = fs::metadata(folder.log()).unwrap().permissions().mode();
    assert_eq!(mode & 0o027, 0, "{mode:o}");
}
