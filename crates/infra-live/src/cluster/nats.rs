//! NATS as the bus.

use super::bus::{Bus, BusEvent};
use crate::local::interest::Subject;
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

/// How many packets may wait for sending, and how many received ones may wait for the node. The node loses any more.
const MAX_QUEUED: usize = 16_384;
/// How many packets of one subject may wait for the node.
const MAX_QUEUED_PER_SUBJECT: usize = 4_096;
/// How often the client pings the server. After two pings without an answer it considers the connection dead.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How long a server may take to answer. Then the client tries the next one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest wait between two attempts to connect.
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// The addresses of the NATS servers, and the credentials.
#[derive(Clone)]
pub struct NatsOptions {
    /// `nats://[user:password@|token@]host[:port]` or `tls://...`, several separated by commas.
    pub servers: Vec<ServerAddr>,
    /// A file with a user's JWT and seed, as `nsc` makes it.
    pub credentials: Option<PathBuf>,
    /// A PEM file of certificate authorities that vouch for the server, besides those that the system trusts.
    pub ca: Option<PathBuf>,
    /// PEM files of this client's certificate and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// What the names of all subjects begin with: the same on all nodes of one deployment, and different on other
    /// deployments.
    pub prefix: String,
}

impl std::fmt::Debug for NatsOptions {
    /// Shows no user names and passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hosts: Vec<_> = self.servers.iter().map(|server| (server.host(), server.port())).collect();
        f.debug_struct("NatsOptions").field("servers", &hosts).finish_non_exhaustive()
    }
}

/// Why the node cannot use NATS at all. A server that does not answer is no reason: it may start later.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The text is not the URL of a NATS server.
    #[error("not a NATS URL: it begins with nats:// or tls://, several are separated by commas")]
    Url,
    /// The file of credentials cannot be read, or holds something else.
    #[error("the credentials cannot be used: {0}")]
    Credentials(std::io::Error),
    /// The client cannot connect, for example because it cannot set up TLS.
    #[error("cannot connect: {0}")]
    Connect(async_nats::ConnectError),
    /// The server accepted the connection, and answers nothing.
    #[error("it does not answer: {0}")]
    Silent(String),
}

impl NatsOptions {
    /// Parses the servers' addresses.
    ///
    /// # Errors
    /// [`NatsError::Url`].
    pub fn parse_servers(text: &str) -> Result<Vec<ServerAddr>, NatsError> {
        let known = |text: &&str| text.starts_with("nats://") || text.starts_with("tls://");
        let parse = |text: &str| Some(text.trim()).filter(known).and_then(|text| text.parse().ok());
        text.split(',').map(|text| parse(text).ok_or(NatsError::Url)).collect()
    }

    /// Checks that a server is there and lets this client in, within a few seconds.
    ///
    /// # Errors
    /// [`NatsError`].
    pub async fn probe(self) -> Result<(), NatsError> {
        let client = self.connect_options()?.connect(self.servers).await.map_err(NatsError::Connect)?;
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
            // A name without a password is a token, as in NATS' own clients.
            Some((token, None)) => options.token(decoded(token)),
            None => options,
        };
        Ok(options
            .name("parlance")
            .no_echo()
            .connection_timeout(CONNECT_TIMEOUT)
            .ping_interval(PING_EVERY)
            .subscription_capacity(MAX_QUEUED_PER_SUBJECT)
            .reconnect_delay_callback(|attempts| {
                MAX_RECONNECT_DELAY
                    .min(Duration::from_millis(50).saturating_mul(u32::try_from(attempts).unwrap_or(u32::MAX)))
            }))
    }
}

/// A part of a URL without percent-encoding.
fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// One node's connection to NATS.
pub struct Nats {
    client: Client,
    prefix: String,
    outgoing: mpsc::Sender<(String, Bytes)>,
    events: mpsc::Sender<BusEvent>,
    /// The task that reads each subscription.
    subscriptions: HashMap<Subject, JoinHandle<()>>,
    sender: JoinHandle<()>,
}

impl Nats {
    /// Begins to connect, and returns the receiver of packets. The caller runs it inside a tokio runtime.
    ///
    /// # Errors
    /// [`NatsError`]. A server that does not answer is none.
    pub async fn connect(options: NatsOptions) -> Result<(Self, mpsc::Receiver<BusEvent>), NatsError> {
        let (events, arriving) = mpsc::channel(MAX_QUEUED);
        let told = events.clone();
        let connect = options.connect_options()?.retry_on_initial_connect().event_callback(move |event| {
            let told = told.clone();
            async move {
                // An error means that the node has stopped.
                let _ = match event {
                    Event::Connected => {
                        info!("connected to NATS");
                        told.send(BusEvent::Connected(true)).await
                    }
                    Event::Disconnected => {
                        warn!("the connection to NATS is lost: what other nodes do comes late until it is back");
                        told.send(BusEvent::Connected(false)).await
                    }
                    Event::SlowConsumer(_) => told.send(BusEvent::PacketsLost).await,
                    other => {
                        warn!(%other, "from NATS");
                        Ok(())
                    }
                };
            }
        });
        let client = connect.connect(options.servers).await.map_err(NatsError::Connect)?;
        let (outgoing, queue) = mpsc::channel(MAX_QUEUED);
        let sender = tokio::spawn(send(client.clone(), queue));
        Ok((Self { client, prefix: options.prefix, outgoing, events, subscriptions: HashMap::new(), sender }, arriving))
    }
}

impl Bus for Nats {
    fn publish(&self, subject: Subject, packet: Bytes) {
        if self.outgoing.try_send((subject.name(&self.prefix), packet)).is_err() {
            NODES.lost.increment(1);
        }
    }

    fn subscribe(&mut self, subject: Subject) {
        let (client, events, name) = (self.client.clone(), self.events.clone(), subject.name(&self.prefix));
        self.subscriptions.entry(subject).or_insert_with(|| {
            tokio::spawn(async move {
                let mut messages = match client.subscribe(name).await {
                    Ok(messages) => messages,
                    Err(error) => return warn!(%error, "NATS takes no subscription"),
                };
                while let Some(message) = messages.next().await {
                    if events.send(BusEvent::Packet(message.payload)).await.is_err() {
                        return;
                    }
                }
            })
        });
    }

    fn unsubscribe(&mut self, subject: Subject) {
        if let Some(task) = self.subscriptions.remove(&subject) {
            // Dropping the subscription ends it.
            task.abort();
        }
    }

    async fn close(self) {
        let Self { client, outgoing, sender, .. } = self;
        drop(outgoing);
        // The sender ends when it has sent everything. If it fails, the client still flushes what it got.
        let _ = sender.await;
        // An error means that the server is gone, and gets nothing more.
        let _ = client.flush().await;
    }
}

/// Hands packets to the client. Drops packets that cannot leave now, so that old ones do not arrive late in a flood.
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
