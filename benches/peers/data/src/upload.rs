//! An upload of 100 MiB: how fast it is read, and how much memory it takes.

use std::time::Instant;

use bytes::Bytes;
use enfilade::middleware::{FormData, FormDataOptions, Multipart, MultipartLimits};
use enfilade::{Body, HttpError};
use futures_util::stream;

use crate::kinds::{MULTIPART, ours};
use crate::median;

const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 1_600;
const ROUNDS: usize = 7;

/// A file of 100 MiB in chunks, as a connection brings them: each with memory of its own.
fn chunks() -> impl Iterator<Item = Bytes> + Send + 'static {
    let head = "--edge\r\ncontent-disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\n";
    let content: Vec<u8> = (0..CHUNK).map(|at| (at * 7 % 251) as u8).collect();
    let middle = (0..CHUNKS).map(move |_| Bytes::copy_from_slice(&content));
    std::iter::once(Bytes::from(head))
        .chain(middle)
        .chain(std::iter::once(Bytes::from("\r\n--edge--\r\n")))
}

fn limits() -> MultipartLimits {
    MultipartLimits::new()
        .file_bytes(1 << 30)
        .total_bytes(1 << 30)
}

async fn by_ours() -> Result<usize, HttpError> {
    let mut request = ours(MULTIPART, Bytes::new());
    *request.body_mut() = Body::from_iterator(chunks());
    let mut form = Multipart::from_request(&mut request, limits())?;
    let mut size = 0;
    while let Some(mut part) = form.next_part().await? {
        while let Some(chunk) = part.chunk().await? {
            size += chunk.len();
        }
    }
    Ok(size)
}

async fn by_form_data() -> Result<usize, HttpError> {
    let mut request = ours(MULTIPART, Bytes::new());
    *request.body_mut() = Body::from_iterator(chunks());
    let form =
        FormData::from_request(&mut request, &FormDataOptions::new().limits(limits())).await?;
    Ok(form.file("a").expect("a file").len() as usize)
}

async fn by_multer() -> Result<usize, multer::Error> {
    let body = stream::iter(chunks().map(Ok::<_, std::io::Error>));
    let mut form = multer::Multipart::new(body, "edge");
    let mut size = 0;
    while let Some(mut part) = form.next_field().await? {
        while let Some(chunk) = part.chunk().await? {
            size += chunk.len();
        }
    }
    Ok(size)
}

fn read(who: &str) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        match who {
            "multer" => by_multer().await.expect("a form"),
            "form-data" => by_form_data().await.expect("a form"),
            "chunks" => chunks().map(|chunk| chunk.len()).sum(),
            _ => by_ours().await.expect("a form"),
        }
    })
}

/// The peak of resident memory of this process, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("a peak");
    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number")
}

/// Reads once in a process of its own, and prints how much its memory grew.
pub(crate) fn run(who: &str) {
    let before = peak();
    assert!(read(who) >= CHUNK * CHUNKS);
    println!("{who}: {} KiB", peak() - before);
}

pub(crate) fn compare() {
    println!("\n| 100 MiB | GB/s | of multer's |\n|---|---|---|");
    let names = ["multer", "ours", "form-data", "chunks"];
    let mut times = names.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (name, times) in names.iter().zip(&mut times) {
            let start = Instant::now();
            assert!(read(name) >= CHUNK * CHUNKS);
            times.push(start.elapsed().as_secs_f64());
        }
    }
    let medians = times.map(|mut times| median(&mut times));
    // Making the chunks is in all of them; what is left is the reader's.
    let made = medians[3];
    for (name, time) in names.iter().zip(medians).take(3) {
        let (own, multers) = (time - made, medians[0] - made);
        let speed = (CHUNK * CHUNKS) as f64 / own / 1e9;
        println!("| {name} | {speed:.1} | {:.1} |", multers / own);
    }
}
