//! What a session does about its connection: STARTTLS, writing, the end.

use std::time::{Duration, Instant};

use postern_events::budget::Budget;
use postern_events::context::Tls;
use postern_events::inbound::{self, DisconnectReason};
use postern_smtp::server::{CloseReason, ReplyTo};
use tokio::time::timeout;

use super::begin::handshake;
use super::{Flow, Session, facts};
use crate::front::reception::chains;
use crate::front::reception::ruling::Refused;
use crate::front::wire::Wire;
use crate::metrics::labels::TlsMode;

/// Time for the end of a connection: what the client still sends is read so that it gets our last reply.
const LINGER: Duration = Duration::from_secs(2);

/// Octets read for that at most.
const LINGER_OCTETS: usize = 1 << 20;

impl Session {
    pub(super) async fn start_tls(&mut self) -> Flow {
        if let Err(reason) = self.send_all().await {
            return Flow::End(reason);
        }
        if self.outgoing.hang_up().is_some() {
            return Flow::End(self.hang_up().await);
        }
        // Whatever came in plain text after the command was not said inside TLS.
        self.input.clear();
        let plain = std::mem::replace(&mut self.wire, Wire::over(tokio::io::empty()));
        let (info, failed) = match handshake(
            &self.reception.tools,
            &self.reception.server,
            plain,
            self.reception.who,
            TlsMode::StartTls,
        )
        .await
        {
            Ok((wire, info)) => {
                self.wire = wire;
                self.machine
                    .tls_established(&mut self.input, Instant::now());
                (info, false)
            }
            Err(error) => (
                Tls {
                    failure: error.to_string(),
                    ..Tls::default()
                },
                true,
            ),
        };
        let budget = Budget::starting(Instant::now(), self.reception.server.command_budget);
        let refused = chains::handshake(&self.reception, inbound::Tls(info), &budget).await;
        self.follow_authentication();
        if failed {
            self.machine.tls_failed();
            return Flow::Go;
        }
        self.last_reply = Instant::now();
        match refused {
            // There is no command to reply to: the client reads it as the reply to its next one.
            Some(refused) => {
                self.outgoing
                    .push(&ReplyTo::Unsolicited, refused.reply, None, false);
                Flow::End(self.close(CloseReason::Disconnected).await)
            }
            None => Flow::Go,
        }
    }

    /// Waits for all replies and writes them.
    pub(super) async fn send_all(&mut self) -> Result<(), DisconnectReason> {
        while !self.outgoing.is_settled() {
            self.outgoing.next().await;
        }
        self.flush().await
    }

    pub(super) async fn flush(&mut self) -> Result<(), DisconnectReason> {
        let within = self.reception.server.limits.write_timeout;
        match timeout(within, self.outgoing.write(&mut self.wire)).await {
            Ok(Ok(true)) => self.last_reply = Instant::now(),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => {
                tracing::debug!(session = %self.reception.session, %error, "reply not sent");
                return Err(DisconnectReason::ClientGone);
            }
            Err(_) => {
                tracing::debug!(session = %self.reception.session, "client takes no replies");
                return Err(DisconnectReason::Timeout);
            }
        }
        Ok(())
    }

    /// A sink has ended the session in place of a reply.
    pub(super) async fn hang_up(&mut self) -> DisconnectReason {
        if let Some(Refused { reply, by, .. }) = self.outgoing.hang_up() {
            self.last_refusal = Some((reply.clone(), by.clone()));
        }
        self.close(CloseReason::Disconnected).await
    }

    pub(super) async fn close(&mut self, reason: CloseReason) -> DisconnectReason {
        if let Some(limit) = facts::limit_of(&reason) {
            self.reception
                .tools
                .metrics
                .count_limit(&self.reception.server.name, limit);
            tracing::info!(session = %self.reception.session, client = self.reception.client, ?reason, "session ended by a limit");
        }
        self.end_by_close(reason);
        if let Err(reason) = self.send_all().await {
            return reason;
        }
        // After QUIT nothing more comes. Otherwise octets left unread would take our last reply from the client.
        let most = if reason == CloseReason::Quit {
            0
        } else {
            LINGER_OCTETS
        };
        let linger = async {
            self.wire.close().await?;
            let mut octets = 0;
            while octets < most && !self.eof {
                self.input.clear();
                match self.wire.read(&mut self.input).await? {
                    0 => break,
                    read => octets += read,
                }
            }
            std::io::Result::Ok(())
        };
        if let Ok(Err(error)) = timeout(LINGER, linger).await {
            tracing::trace!(session = %self.reception.session, %error, "connection was not closed in order");
        }
        facts::disconnect_reason(&reason)
    }
}
