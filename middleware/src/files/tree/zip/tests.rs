use std::io::Write;

use enfilade_core::{Application, Body};
use enfilade_testing::{Client, Lint};
use flate2::read::GzDecoder;
use pollster::block_on;
use rawzip::ZipArchiveWriter;

use super::*;
use crate::files::serve::Files;

/// An archive of files: name, content, and whether they are compressed.
fn zip(files: &[(&str, &[u8], bool)]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut writer = ZipArchiveWriter::new(&mut archive);
    for (name, content, is_compressed) in files {
        let method = match is_compressed {
            true => CompressionMethod::DEFLATE,
            false => CompressionMethod::STORE,
        };
        let (mut entry, config) = writer
            .new_file(name)
            .compression_method(method)
            .start()
            .unwrap();
        let descriptor = if *is_compressed {
            let encoder =
                flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::default());
            let mut data = config.wrap(encoder);
            data.write_all(content).unwrap();
            let (encoder, descriptor) = data.finish().unwrap();
            encoder.finish().unwrap();
            descriptor
        } else {
            let mut data = config.wrap(&mut entry);
            data.write_all(content).unwrap();
            data.finish().unwrap().1
        };
        entry.finish(descriptor).unwrap();
    }
    writer.finish().unwrap();
    archive
}

fn long() -> Vec<u8> {
    let lines = (0..60_000_u32).flat_map(|number| format!("line {number}\n").into_bytes());
    lines.collect()
}

fn client(tree: ZipTree) -> Client {
    Client::new(Application::new(Files::new(tree)).wrap(Lint::new()))
}

#[test]
fn a_compressed_entry_is_a_gzip_member_without_being_inflated() {
    let content = long();
    let archive = zip(&[
        ("index.html", b"<h1>", false),
        ("a/long.txt", &content, true),
        ("empty", b"", true),
    ]);
    let file = std::env::temp_dir().join(format!("enfilade-zip-{}.zip", std::process::id()));
    std::fs::write(&file, &archive).unwrap();
    for tree in [
        ZipTree::from_bytes(archive).unwrap(),
        ZipTree::open(&file).unwrap(),
    ] {
        let client = client(tree);
        assert_eq!(client.get("/").send().text(), "<h1>");
        let gzip = client
            .get("/a/long.txt")
            .header("accept-encoding", "gzip")
            .send();
        assert_eq!(gzip.header("content-encoding"), Some("gzip"));
        assert_eq!(gzip.header("vary"), Some("accept-encoding"));
        assert_eq!(
            gzip.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        let mut inflated = Vec::new();
        io::Read::read_to_end(&mut GzDecoder::new(&gzip.bytes()[..]), &mut inflated).unwrap();
        assert!(inflated == content);
        let plain = client.get("/a/long.txt").send();
        assert!(*plain.bytes() == content);
        assert_eq!(plain.header("content-encoding"), None);
        assert_ne!(plain.header("etag"), gzip.header("etag"));
        let part = client
            .get("/a/long.txt")
            .header("range", "bytes=500000-500009")
            .send();
        assert_eq!(*part.bytes(), content[500_000..500_010]);
        let part = client
            .get("/a/long.txt")
            .header("accept-encoding", "gzip")
            .header("range", "bytes=0-9")
            .send();
        assert_eq!((part.status().as_u16(), &part.bytes()[..]), (206, GZIP));
        assert_eq!(client.get("/empty").send().text(), "");
        assert_eq!(client.get("/a").send().status(), 404);
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_long_entry_is_inflated_only_up_to_the_limit() {
    let tree = ZipTree::from_bytes(zip(&[("a.txt", b"12345", true)])).unwrap();
    let client = client(tree.inflate_limit(4));
    let refused = client.get("/a.txt").send();
    assert_eq!(
        (refused.status().as_u16(), refused.header("vary")),
        (406, Some("accept-encoding"))
    );
    let gzip = client
        .get("/a.txt")
        .header("accept-encoding", "gzip")
        .send();
    assert_eq!(gzip.status(), 200);
}

#[test]
fn names_that_are_no_paths_are_left_out() {
    let names = ["../x", "a/../x", "/abs", "a\\b", "a//b", "ok.txt"];
    let files: Vec<(&str, &[u8], bool)> =
        names.iter().map(|name| (*name, &b"x"[..], false)).collect();
    let tree = ZipTree::from_bytes(zip(&files)).unwrap();
    let listed = block_on(tree.list(&TreePath::ROOT, 10).wait())
        .unwrap()
        .unwrap();
    let names: Vec<&str> = listed.iter().map(ListedEntry::name).collect();
    assert!(
        names.contains(&"ok.txt") && !names.contains(&".."),
        "{names:?}"
    );
    assert!(
        names.iter().all(|name| !name.contains(['\\', '/'])),
        "{names:?}"
    );
}

#[test]
fn a_damaged_archive_is_an_error_and_never_other_content() {
    assert!(ZipTree::from_bytes(&b"not an archive"[..]).is_err());
    let error = ZipTree::open("/no/such.zip").unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot serve the archive /no/such.zip: No such file or directory (os error 2)"
    );
    let content = long();
    let archive = zip(&[("long.txt", &content, true)]);
    for at in (0..archive.len()).step_by(997) {
        let mut damaged = archive.clone();
        damaged[at] ^= 0x55;
        let Ok(tree) = ZipTree::from_bytes(damaged) else {
            continue;
        };
        let path = TreePath::new("/long.txt").unwrap();
        let Ok(Some(Entry::File(file))) = block_on(tree.look_up(&path).wait()) else {
            continue;
        };
        if let Ok(found) = block_on(Body::collect(file.body(), 10 << 20)) {
            assert!(found == content, "{at}");
        }
    }
}
