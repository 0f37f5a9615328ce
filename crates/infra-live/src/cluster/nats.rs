//! The way between nodes: NATS, which promises nothing. What it loses is read from the database.

use super::subjects::Subject;
use crate::telemetry::NODES;
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// How many packets may wait to be sent, and how many that came may wait to be read. More are lost, and read from the
/// database.
const MOST_WAITING: usize = 16_384;
/// How many packets of one subject may wait to be read.
const MOST_WAITING_OF_ONE: usize = 4_096;
/// How often the server is asked for a sign of life: a connection that died in silence is found after two.
const PING: Duration = Duration::from_secs(5);
/// How long a server may take to answer before the next is tried.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long to wait between attempts to connect, at the most.
const MOST_DELAY: Duration = Duration::from_secs(1);

/// Where NATS is, and how one gets in.
#[derive(Clone)]
pub struct NatsOptions {
    /// `nats://[user:password@|token@]host[:port]` or `tls://...`, several separated by commas.
    pub servers: Vec<ServerAddr>,
    /// A file as `nsc` makes it, of a user's JWT and seed.
    pub credentials: Option<PathBuf>,
    /// A PEM file: who vouches for the server, besides those the system trusts.
    pub ca: Option<PathBuf>,
    /// PEM files of a certificate and its key: who we are.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// What all subjects begin with: the same on all nodes of one deployment, and another on others.
    pub prefix: String,
}

impl std::fmt::Debug for NatsOptions {
    /// Without what may be a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hosts: Vec<_> = self.servers.iter().map(|server| (server.host(), server.port())).collect();
        f.debug_struct("NatsOptions").field("servers", &hosts).finish_non_exhaustive()
    }
}

/// Why there is no way to NATS at all. A server that does not answer is no reason: it may come.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// Not the URL of a NATS server.
    #[error("not a NATS URL: it begins with nats:// or tls://, several are separated by commas")]
    Url,
    /// The file cannot be read, or holds something else.
    #[error("the credentials cannot be used: {0}")]
    Credentials(std::io::Error),
    /// TLS cannot be set up, or the like.
    #[error("cannot connect: {0}")]
    Connect(#[from] async_nats::ConnectError),
    /// It took the connection, and nothing else.
    #[error("it does not answer: {0}")]
    Silent(String),
}

impl NatsOptions {
    /// Reads the servers' addresses.
    ///
    /// # Errors
    /// [`NatsError::Url`].
    pub fn parse_servers(text: &str) -> Result<Vec<ServerAddr>, NatsError> {
        let known = |text: &&str| text.starts_with("nats://") || text.starts_with("tls://");
        let parse = |text: &str| Some(text.trim()).filter(known).and_then(|text| text.parse().ok());
        text.split(',').map(|text| parse(text).ok_or(NatsError::Url)).collect()
    }

    /// Looks whether a server is there and lets one in, within a few seconds.
    ///
    /// # Errors
    /// [`NatsError`].
    pub async fn probe(self) -> Result<(), NatsError> {
        let client = self.connect_options()?.connect(self.servers).await?;
        client.flush().await.map_err(|error| NatsError::Silent(error.to_string()))
    }

    fn connect_options(&self) -> Result<ConnectOptions, NatsError> {
        let mut options = match &self.credentials {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(NatsError::Credentials)?;
                ConnectOptions::with_credentials(&text).map_err(NatsError::Credentials)?
            }
            None => ConnectOptions::new(),
        };
        if let Some(ca) = &self.ca {
            options = options.add_root_certificates(ca.clone());
        }
        if let Some((certificate, key)) = &self.certificate {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        let named = self.servers.iter().find_map(|server| Some((server.username()?, server.password())));
        options = match named {
            Some((user, Some(password))) => options.user_and_password(decoded(user), decoded(password)),
            // A name without a password is a token, as NATS' own clients have it.
            Some((token, None)) => options.token(decoded(token)),
            None => options,
        };
        Ok(options
            .name("parlance")
            .no_echo()
            .connection_timeout(CONNECT_WITHIN)
            .ping_interval(PING)
            .subscription_capacity(MOST_WAITING_OF_ONE)
            .reconnect_delay_callback(|attempts| {
                MOST_DELAY.min(Duration::from_millis(50).saturating_mul(u32::try_from(attempts).unwrap_or(u32::MAX)))
            }))
    }
}

/// A part of a URL as it was meant.
fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// What comes from the bus.
#[derive(Debug)]
pub enum Incoming {
    /// A packet.
    Packet(Bytes),
    /// The server is there again, or gone. Packets may have been lost.
    Connected(bool),
    /// Packets were lost.
    Lost,
}

/// The connection of one node.
pub struct Bus {
    client: Client,
    prefix: String,
    outgoing: mpsc::Sender<(String, Bytes)>,
    incoming: mpsc::Sender<Incoming>,
    watched: HashMap<Subject, JoinHandle<()>>,
    sending: JoinHandle<()>,
}

impl Bus {
    /// Begins to connect, and gives what comes. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`NatsError`]; not where the server does not answer.
    pub async fn connect(options: NatsOptions) -> Result<(Self, mpsc::Receiver<Incoming>), NatsError> {
        let (incoming, comes) = mpsc::channel(MOST_WAITING);
        let told = incoming.clone();
        let connect = options.connect_options()?.retry_on_initial_connect().event_callback(move |event| {
            let told = told.clone();
            async move {
                // Who is told may be gone: then nobody is to be told.
                let _ = match event {
                    Event::Connected => {
                        info!("connected to NATS");
                        told.send(Incoming::Connected(true)).await
                    }
                    Event::Disconnected => {
                        warn!("the connection to NATS is lost: what other nodes do comes late until it is back");
                        told.send(Incoming::Connected(false)).await
                    }
                    Event::SlowConsumer(_) => told.send(Incoming::Lost).await,
                    other => {
                        warn!(%other, "from NATS");
                        Ok(())
                    }
                };
            }
        });
        let client = connect.connect(options.servers).await?;
        let (outgoing, sent) = mpsc::channel(MOST_WAITING);
        let sending = tokio::spawn(send(client.clone(), sent));
        Ok((Self { client, prefix: options.prefix, outgoing, incoming, watched: HashMap::new(), sending }, comes))
    }

    /// Sends a packet to all nodes that watch the subject. Never waits.
    pub fn send(&self, subject: Subject, packet: Bytes) {
        if self.outgoing.try_send((subject.name(&self.prefix), packet)).is_err() {
            NODES.lost.increment(1);
        }
    }

    /// As [`Bus::send`], for later.
    pub fn sender(&self, subject: Subject) -> impl FnOnce(Bytes) + Send + 'static {
        let (outgoing, name) = (self.outgoing.clone(), subject.name(&self.prefix));
        move |packet| {
            if outgoing.try_send((name, packet)).is_err() {
                NODES.lost.increment(1);
            }
        }
    }

    /// From now on, or soon, what is sent to the subject comes.
    pub fn watch(&mut self, subject: Subject) {
        let (client, incoming, name) = (self.client.clone(), self.incoming.clone(), subject.name(&self.prefix));
        self.watched.entry(subject).or_insert_with(|| {
            tokio::spawn(async move {
                let mut messages = match client.subscribe(name).await {
                    Ok(messages) => messages,
                    Err(error) => return warn!(%error, "NATS takes no subscription"),
                };
                while let Some(message) = messages.next().await {
                    if incoming.send(Incoming::Packet(message.payload)).await.is_err() {
                        return;
                    }
                }
            })
        });
    }

    /// What is sent to the subject does not come any more.
    pub fn unwatch(&mut self, subject: Subject) {
        if let Some(task) = self.watched.remove(&subject) {
            // Dropping the subscription ends it.
            task.abort();
        }
    }

    /// Gives what was sent to the server, as far as it is there.
    pub async fn close(self) {
        let Self { client, outgoing, sending, .. } = self;
        drop(outgoing);
        // It ends when it has sent all. Should it have failed, what was sent is given all the same.
        let _ = sending.await;
        // A server that is not there gets nothing more.
        let _ = client.flush().await;
    }
}

/// Hands packets to the client; those that cannot go now are lost, so that old ones do not come late in a flood.
async fn send(client: Client, mut packets: mpsc::Receiver<(String, Bytes)>) {
    while let Some((subject, packet)) = packets.recv().await {
        if client.connection_state() != async_nats::connection::State::Connected {
            NODES.lost.increment(1);
            continue;
        }
        match client.publish(subject, packet).await {
            Ok(()) => NODES.sent.increment(1),
            Err(error) => {
                NODES.lost.increment(1);
                tracing::debug!(%error, "NATS did not take a packet");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_urls_separated_by_commas() {
        let servers = NatsOptions::parse_servers("nats://a:4222, tls://user:pass@b").unwrap();
        let hosts: Vec<_> =
            servers.iter().map(|server| (server.host(), server.port(), server.tls_required())).collect();
        assert_eq!(hosts, [("a", 4222, false), ("b", 4222, true)]);
        for wrong in ["", "a:4222", "http://a", "nats://a,,nats://b"] {
            assert!(NatsOptions::parse_servers(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let options = NatsOptions {
            servers: NatsOptions::parse_servers("nats://ada:canary@host").unwrap(),
            credentials: None,
            ca: None,
            certificate: None,
            prefix: "canary".to_owned(),
        };
        assert!(!format!("{options:?}").contains("canary"));
    }
}
