//! An S3 server for tests: `s3s-fs`, which keeps objects in a directory and checks the signature of every request, on a
//! free port, and with outages to order.
#![expect(clippy::expect_used, reason = "a test fails where it is surprised")]

use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// The one bucket that there is.
pub const BUCKET: &str = "parlance-tests";
/// Who may use it.
pub const ACCESS_KEY: &str = "AKIAPARLANCETESTS";
/// What requests are signed with.
pub const SECRET_KEY: &str = "hush-the-secret-of-the-tests";

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Well,
    /// Takes connections and requests, and says nothing.
    Silent,
    /// Ends every connection, those that are open too.
    Gone,
}

/// What happened so far.
#[derive(Default)]
struct Counts {
    turned_away: AtomicUsize,
    parts: AtomicUsize,
}

/// A server of its own. Ends when dropped.
pub struct S3 {
    address: SocketAddr,
    root: TempDir,
    mood: watch::Sender<Mood>,
    counts: Arc<Counts>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl S3 {
    /// With an empty bucket.
    ///
    /// # Panics
    /// Where the machine gives no port, directory or thread.
    pub fn start() -> Self {
        let root = tempfile::tempdir().expect("no directory");
        std::fs::create_dir(root.path().join(BUCKET)).expect("no bucket");
        let mut builder = S3ServiceBuilder::new(FileSystem::new(root.path()).expect("no file system"));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let (mood, feels) = watch::channel(Mood::Well);
        let counts = Arc::new(Counts::default());
        let server = Server { service: builder.build(), mood: feels, counts: Arc::clone(&counts) };
        let (tell, told) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("no port");
                tell.send(listener.local_addr().expect("no address")).expect("nobody waits for the address");
                tokio::select! {
                    () = server.accept(listener) => {}
                    _ = stopped => {}
                }
            });
        });
        let address = told.recv().expect("the server did not start");
        Self { address, root, mood, counts, running: Some((stop, thread)) }
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The variables by which clients find it and sign.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT", self.endpoint().as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_ALLOW_HTTP", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// From now on it behaves so.
    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// How many parts of objects were sent to it so far, retries counted.
    pub fn parts_sent(&self) -> usize {
        self.counts.parts.load(Ordering::Relaxed)
    }

    /// How many connections it has ended so far because it was [gone](Mood::Gone).
    pub fn turned_away(&self) -> usize {
        self.counts.turned_away.load(Ordering::Relaxed)
    }

    /// The objects there are, by key, in no order; and the parts of unfinished ones, by names of the server's.
    ///
    /// # Panics
    /// Where its directory cannot be read.
    pub fn kept(&self) -> Vec<String> {
        let bucket = self.root.path().join(BUCKET);
        let mut objects = Vec::new();
        below(&bucket, &mut objects);
        let key = |path: PathBuf| path.strip_prefix(&bucket).unwrap_or(&path).to_string_lossy().into_owned();
        let entries = std::fs::read_dir(self.root.path()).expect("no directory");
        let names = entries.map(|entry| entry.expect("no entry").file_name().to_string_lossy().into_owned());
        objects.into_iter().map(key).chain(names.filter(|name| name.starts_with(".upload"))).collect()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // Fails where it has ended already.
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

fn below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("no directory") {
        let path = entry.expect("no entry").path();
        if path.is_dir() { below(&path, found) } else { found.push(path) }
    }
}

#[derive(Clone)]
struct Server {
    service: S3Service,
    mood: watch::Receiver<Mood>,
    counts: Arc<Counts>,
}

impl Server {
    async fn accept(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().serve(stream));
        }
    }

    async fn serve(self, stream: TcpStream) {
        let answer = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
            if request.uri().query().is_some_and(|query| query.contains("partNumber=")) {
                self.counts.parts.fetch_add(1, Ordering::Relaxed);
            }
            let (mood, answer) = (self.mood.clone(), Service::call(&self.service, request));
            async move {
                tokio::select! {
                    // An outage is asked about first: nobody who asks after it has begun is answered.
                    biased;
                    () = until(&mood, Mood::Gone) => Err(io::Error::other("the server is gone")),
                    // Whoever asks a silent server hears nothing, also when it has come back.
                    () = until(&mood, Mood::Silent) => pending().await,
                    answer = answer => answer.map_err(|fault| io::Error::other(format!("{fault:?}"))),
                }
            }
        });
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        tokio::select! {
            biased;
            () = until(&self.mood, Mood::Gone) => {
                self.counts.turned_away.fetch_add(1, Ordering::Relaxed);
            }
            // A client that has gone is no fault.
            _ = connection => {}
        }
    }
}

/// Waits until the server is to behave so.
async fn until(mood: &watch::Receiver<Mood>, awaited: Mood) {
    drop(mood.clone().wait_for(|mood| *mood == awaited).await);
}
