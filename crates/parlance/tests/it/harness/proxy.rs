//! A reverse proxy that removes a path prefix from the URLs that it passes on.

use actix_web::rt::spawn;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The path that it takes away.
pub const PREFIX: &str = "/chat";

/// What a request is passed on with as its `Host`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// What the client asked for.
    Kept,
    /// The server's own address, as nginx has it where it is not told otherwise.
    Replaced,
}

/// A proxy on a free port; passes nothing on any more once it is dropped.
pub struct Proxy {
    listener: Option<TcpListener>,
    address: String,
    running: Option<JoinHandle<()>>,
}

impl Proxy {
    /// On its port, before there is a server behind it.
    pub async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Self { listener: Some(listener), address, running: None }
    }

    /// What clients know the server by.
    pub fn url(&self) -> String {
        format!("http://{}{PREFIX}", self.address)
    }

    /// Begins to pass on to the server at this address.
    pub fn serve(&mut self, server: &str, host: Host) {
        let (listener, server) = (self.listener.take().unwrap(), server.to_owned());
        self.running = Some(spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = server.clone();
                // A client that goes away in the middle is no fault of anybody's.
                spawn(async move { pass_on(client, &server, host).await.unwrap_or_default() });
            }
        }));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

/// Passes one request on, and all that follows it on an upgraded connection.
async fn pass_on(mut client: TcpStream, server: &str, host: Host) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return Ok(()),
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().lines();
    let first: Vec<_> = lines.next().unwrap().splitn(3, ' ').collect();
    let Some(path) = first[1].strip_prefix(PREFIX).filter(|path| path.is_empty() || path.starts_with(['/', '?']))
    else {
        // Something else than a chat is there.
        return client.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut passed = format!("{} {slash}{path} {}\r\n", first[0], first[2]);
    let mut upgrades = false;
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        match name.to_ascii_lowercase().as_str() {
            "host" if host == Host::Replaced => passed.push_str(&format!("host: {server}\r\n")),
            "connection" if !value.to_ascii_lowercase().contains("upgrade") => {}
            other => {
                upgrades |= other == "upgrade";
                passed.push_str(&format!("{line}\r\n"));
            }
        }
    }
    // One request a connection, so that there is no second one to be rewritten.
    passed.push_str(if upgrades { "\r\n" } else { "connection: close\r\n\r\n" });
    let mut upstream = TcpStream::connect(server).await?;
    upstream.write_all(passed.as_bytes()).await?;
    copy_bidirectional(&mut client, &mut upstream).await.map(|_| ())
}
