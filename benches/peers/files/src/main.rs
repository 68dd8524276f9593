//! Serves a file, from the disk in several ways and from memory: `files PATH`. The first line of output is the port.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use enfilade::middleware::FileSource;
use enfilade::{
    Application, Body, BoxError, HttpError, ReadAt, Request, Segment, Server, SourceRead,
};

/// A file that is read into a new buffer of this many bytes each time.
struct Fresh(Arc<File>, usize);

impl ReadAt for Fresh {
    fn read_at(&self, offset: u64, limit: usize) -> SourceRead {
        let (file, size) = (self.0.clone(), limit.min(self.1));
        SourceRead::from_future(blocking::unblock(move || {
            let mut buffer = vec![0; size];
            let count = file.read_at(&mut buffer, offset)?;
            buffer.truncate(count);
            Ok::<_, BoxError>(Bytes::from(buffer))
        }))
    }
}

fn main() -> io::Result<()> {
    let path = std::env::args().nth(1).expect("a file");
    let memory = Bytes::from(std::fs::read(&path)?);
    let app = Application::new(move |request: Request| {
        let (path, memory) = (path.clone(), memory.clone());
        async move {
            let fresh = |size: usize| {
                let file = File::open(&path)?;
                let whole = 0..file.metadata()?.len();
                let source = Arc::new(Fresh(Arc::new(file), size * 1024));
                Ok::<_, HttpError>(Body::from_segments([Segment::new(source, whole)]))
            };
            match request.path() {
                "/memory" => Ok(Body::from(memory)),
                "/fresh-64" => fresh(64),
                "/fresh-256" => fresh(256),
                _ => Ok(Body::from(FileSource::open(&path).await?)),
            }
        }
    });
    let server = Server::bind("127.0.0.1:0")?;
    println!("{}", server.local_addr().port());
    server.serve_forever(app)
}
