//! What is answered on the admin socket.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use futures_util::stream::{self, Stream};
use postern_delivery::ContentReader;
use postern_message::MessageId;
use postern_proto::admin::v1::admin_service_server::AdminService;
use postern_proto::admin::v1::{
    Change as AskedChange, ChangeMessagesRequest, ChangeMessagesResponse, ChangeOutcome,
    ChangeResult, DrainRequest, DrainResponse, GetStatsRequest, GetStatsResponse, GetStatusRequest,
    GetStatusResponse, ListMessagesRequest, ListMessagesResponse, ListenerStatus, MessageEntry,
    ReadContentRequest, ReadContentResponse, ServerStatus, ShowMessageRequest, ShowMessageResponse,
};
use postern_spool::{Entry, Filter, Page, SpoolError};
use postern_transport::{Change, Changed, Operator};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use super::filter::{self, id};
use super::{Desk, shown};
use crate::metrics::labels::OfServer;

/// Messages read from the spool in one go, and changed in one.
const PORTION: usize = 100;
/// Ids in one request.
const IDS: usize = 1000;
/// Octets of an operator's reason.
const REASON: usize = 500;
/// Octets of a content in one frame.
const PIECE: usize = 64 * 1024;
/// Time for the spool to answer one question.
const ANSWER: Duration = Duration::from_secs(30);
/// The longest time to drain.
const LONGEST_DRAIN: Duration = Duration::from_secs(24 * 3600);
/// What a request for sums gets where it does not say, and the most that it gets.
const SUMS: usize = 10;
const MOST_SUMS: usize = 1000;

/// The service, for one client.
#[derive(Clone)]
pub(super) struct Service {
    desk: Desk,
    user: u32,
}

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Service {
    /// For the client that this user runs.
    pub(super) fn new(desk: Desk, user: u32) -> Self {
        Self { desk, user }
    }

    async fn page(&self, filter: &Filter, page: Page) -> Result<Vec<Entry>, Status> {
        answered(self.desk.spool.list(filter, page)).await
    }

    async fn entry(&self, id: MessageId) -> Result<MessageEntry, Status> {
        let filter = Filter {
            id: Some(id),
            ..Filter::default()
        };
        let found = self.page(&filter, Page::default()).await?;
        let first = found.into_iter().next();
        first.map(shown::entry).ok_or_else(|| not_there(id))
    }
}

/// What the spool answers, in time.
async fn answered<T>(answer: impl Future<Output = Result<T, SpoolError>>) -> Result<T, Status> {
    match timeout(ANSWER, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(SpoolError::Damaged { id, what })) => {
            Err(Status::data_loss(format!("{id} is damaged: {what}")))
        }
        Ok(Err(error)) => Err(Status::unavailable(format!("the spool: {error}"))),
        Err(_) => Err(Status::deadline_exceeded(
            "the spool does not answer in time",
        )),
    }
}

fn not_there(id: MessageId) -> Status {
    Status::not_found(format!(
        "{id} is not in the queue: it was delivered, bounced or removed, or it was never there"
    ))
}

#[tonic::async_trait]
impl AdminService for Service {
    async fn get_status(
        &self,
        _: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let desk = &self.desk;
        let counts = answered(desk.spool.counts()).await?;
        let (depth, sinks) = (desk.transport.depth(), (desk.sinks)());
        let draining = desk.shutdown.has_begun();
        let not_ready = match desk.spool.health().failure() {
            _ if draining => Some("it is coming to its end".to_owned()),
            Some(why) => Some(format!("the spool's disk failed: {why}")),
            None => (desk.closed)(&sinks),
        };
        let space = rustix::fs::statvfs(&*desk.spool_path);
        let sessions = |server: &String| {
            let label = OfServer {
                server: server.as_str().into(),
            };
            let open = desk.metrics.sessions_open.get_or_create(&label).get();
            ServerStatus {
                server: server.clone(),
                sessions: u64::try_from(open).unwrap_or(0),
            }
        };
        Ok(Response::new(GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            started: shown::time(desk.started),
            ready: not_ready.is_none(),
            not_ready_because: not_ready.unwrap_or_default(),
            draining,
            listeners: desk
                .listeners
                .iter()
                .map(|listener| ListenerStatus {
                    server: listener.server.clone(),
                    address: listener.address.to_string(),
                })
                .collect(),
            servers: desk.servers.iter().map(sessions).collect(),
            states: shown::states(&counts),
            in_memory: depth.in_memory as u64,
            waiting_for_room: depth.waiting as u64,
            connections: depth.connections as u64,
            sinks: sinks.into_iter().map(shown::sink).collect(),
            spool_path: desk.spool_path.display().to_string(),
            spool_free: space.map_or(0, |space| space.f_bavail.saturating_mul(space.f_frsize)),
        }))
    }

    type ListMessagesStream = Streamed<ListMessagesResponse>;

    async fn list_messages(
        &self,
        request: Request<ListMessagesRequest>,
    ) -> Result<Response<Self::ListMessagesStream>, Status> {
        let ListMessagesRequest { filter, limit } = request.into_inner();
        let filter = filter::filter(&filter.unwrap_or_default(), SystemTime::now())?;
        let left = match limit {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let walk = Walk {
            service: self.clone(),
            filter,
            after: None,
            left,
            ended: false,
        };
        // A page is read when the client has taken the one before.
        let pages = stream::try_unfold(walk, |mut walk| async move {
            let entries = walk.next().await?;
            let page = ListMessagesResponse {
                entries: entries.into_iter().map(shown::entry).collect(),
            };
            Ok((!page.entries.is_empty()).then_some((page, walk)))
        });
        Ok(Response::new(Box::pin(pages)))
    }

    async fn show_message(
        &self,
        request: Request<ShowMessageRequest>,
    ) -> Result<Response<ShowMessageResponse>, Status> {
        let id = id(&request.into_inner().id)?;
        let listed = self.entry(id).await?;
        let shown = match answered(self.desk.spool.load(id)).await {
            Ok(Some(stored)) => shown::message(listed, &stored, |message, recipient| {
                self.desk.transport.destination(message, recipient)
            }),
            Ok(None) => return Err(not_there(id)),
            // What there is to say is in the list.
            Err(damaged) if damaged.code() == tonic::Code::DataLoss => ShowMessageResponse {
                entry: Some(listed),
                ..ShowMessageResponse::default()
            },
            Err(error) => return Err(error),
        };
        Ok(Response::new(shown))
    }

    type ReadContentStream = Streamed<ReadContentResponse>;

    async fn read_content(
        &self,
        request: Request<ReadContentRequest>,
    ) -> Result<Response<Self::ReadContentStream>, Status> {
        let ReadContentRequest {
            id: text,
            headers_only,
        } = request.into_inner();
        let id = id(&text)?;
        let stored = answered(self.desk.spool.load(id)).await?;
        let stored = stored.ok_or_else(|| not_there(id))?;
        let (version, content) = (&stored.message.version, stored.content);
        let reader = match headers_only {
            true => ContentReader::range(version, 0..version.header_size(), content),
            false => ContentReader::new(version, content),
        };
        tracing::info!(%id, by = by(self.user), "content shown to an operator");
        let pieces = stream::try_unfold((reader, None), |(mut reader, left)| async move {
            let piece: Option<bytes::Bytes> = match left {
                Some(left) => Some(left),
                None => match timeout(ANSWER, reader.next()).await {
                    Ok(Ok(piece)) => piece,
                    Ok(Err(error)) => {
                        return Err(Status::data_loss(format!("its content: {error}")));
                    }
                    Err(_) => {
                        return Err(Status::deadline_exceeded(
                            "the spool does not answer in time",
                        ));
                    }
                },
            };
            Ok(piece.map(|mut piece| {
                let octets = piece.split_to(piece.len().min(PIECE));
                let left = (!piece.is_empty()).then_some(piece);
                (ReadContentResponse { octets }, (reader, left))
            }))
        });
        Ok(Response::new(Box::pin(pieces)))
    }

    async fn get_stats(
        &self,
        request: Request<GetStatsRequest>,
    ) -> Result<Response<GetStatsResponse>, Status> {
        let limit = match request.into_inner().limit {
            0 => SUMS,
            limit => usize::try_from(limit).unwrap_or(MOST_SUMS).min(MOST_SUMS),
        };
        let spool = &self.desk.spool;
        let counts = answered(spool.counts()).await?;
        let destinations = answered(spool.backlogs(limit)).await?;
        let senders = answered(spool.senders(limit)).await?;
        Ok(Response::new(GetStatsResponse {
            states: shown::states(&counts),
            destinations: destinations.into_iter().map(shown::destination).collect(),
            senders: senders.into_iter().map(shown::sender).collect(),
        }))
    }

    type ChangeMessagesStream = Streamed<ChangeMessagesResponse>;

    async fn change_messages(
        &self,
        request: Request<ChangeMessagesRequest>,
    ) -> Result<Response<Self::ChangeMessagesStream>, Status> {
        let asked = request.into_inner();
        let change = change(asked.change())?;
        if asked.reason.len() > REASON || asked.reason.contains(|one: char| one.is_control()) {
            return Err(Status::invalid_argument(
                "the reason is one line of at most 500 octets",
            ));
        }
        let which = self.which(&asked)?;
        let operator = (!asked.dry_run).then(|| {
            let by = by(self.user);
            self.desk.transport.operator(change, &by, &asked.reason)
        });
        let begun = Changing {
            which,
            change,
            operator,
        };
        let outcomes = stream::try_unfold(begun, |mut changing| async move {
            let outcomes = changing.next().await?;
            let page = ChangeMessagesResponse { outcomes };
            Ok((!page.outcomes.is_empty()).then_some((page, changing)))
        });
        Ok(Response::new(Box::pin(outcomes)))
    }

    async fn drain(
        &self,
        request: Request<DrainRequest>,
    ) -> Result<Response<DrainResponse>, Status> {
        let within = match request.into_inner().within {
            None => self.desk.drain,
            Some(within) => Duration::try_from(within)
                .map_err(|_| Status::invalid_argument("that is no time to drain within"))?
                .min(LONGEST_DRAIN),
        };
        tracing::warn!(by = by(self.user), ?within, "an operator ends the gateway");
        let shutdown = &self.desk.shutdown;
        // The first word counts: where it was another's, what is left of its time is answered.
        let within = match shutdown.time_left() {
            Some(left) => left,
            None => {
                shutdown.drain(within);
                within
            }
        };
        let within = prost_types::Duration::try_from(within).ok();
        Ok(Response::new(DrainResponse { within }))
    }
}

impl Service {
    /// The messages that are meant. What arrives later is not: reports of what is bounced among it.
    fn which(&self, asked: &ChangeMessagesRequest) -> Result<Which, Status> {
        if !asked.ids.is_empty() {
            if asked.ids.len() > IDS {
                return Err(Status::invalid_argument("more than 1000 ids"));
            }
            let ids = asked.ids.iter().map(|text| id(text));
            let ids = ids.collect::<Result<Vec<_>, _>>()?;
            return Ok(Which::Named(self.clone(), ids.into_iter()));
        }
        let now = SystemTime::now();
        let mut filter = filter::filter(&asked.filter.clone().unwrap_or_default(), now)?;
        if filter::is_open(&filter) && !asked.all {
            return Err(Status::invalid_argument(
                "neither ids nor a filter: say that all messages are meant",
            ));
        }
        filter.received_before.get_or_insert(now);
        Ok(Which::Fitting(Box::new(Walk {
            service: self.clone(),
            filter,
            after: None,
            left: usize::MAX,
            ended: false,
        })))
    }
}

/// Goes over the messages that fit, page by page.
struct Walk {
    service: Service,
    filter: Filter,
    after: Option<MessageId>,
    left: usize,
    ended: bool,
}

impl Walk {
    /// The next ones; none: that was all.
    async fn next(&mut self) -> Result<Vec<Entry>, Status> {
        let limit = self.left.min(PORTION);
        if self.ended || limit == 0 {
            return Ok(Vec::new());
        }
        let page = Page {
            after: self.after,
            limit,
        };
        let entries = self.service.page(&self.filter, page).await?;
        self.ended = entries.len() < limit;
        self.left -= entries.len();
        self.after = entries.last().map(|entry| entry.id).or(self.after);
        Ok(entries)
    }
}

/// The messages that a change is for.
enum Which {
    Named(Service, std::vec::IntoIter<MessageId>),
    Fitting(Box<Walk>),
}

/// A change under way.
struct Changing {
    which: Which,
    change: Change,
    /// `None`: nothing is changed.
    operator: Option<Operator>,
}

impl Changing {
    async fn next(&mut self) -> Result<Vec<ChangeOutcome>, Status> {
        if let (Some(operator), Which::Named(_, ids)) = (&self.operator, &mut self.which) {
            let ids: Vec<_> = ids.take(PORTION).collect();
            return Ok(told(operator.act(&ids).await));
        }
        let (entries, missing) = match &mut self.which {
            Which::Fitting(walk) => (walk.next().await?, Vec::new()),
            Which::Named(service, ids) => {
                let (mut entries, mut missing) = (Vec::new(), Vec::new());
                for id in ids.take(PORTION) {
                    let filter = Filter {
                        id: Some(id),
                        ..Filter::default()
                    };
                    match service.page(&filter, Page::default()).await?.pop() {
                        Some(entry) => entries.push(entry),
                        None => missing.push((id, Changed::Gone)),
                    }
                }
                (entries, missing)
            }
        };
        let Some(operator) = &self.operator else {
            let would = entries.iter().map(|entry| self.would(entry));
            return Ok(would.chain(told(missing)).collect());
        };
        let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
        Ok(told(operator.act(&ids).await))
    }

    fn would(&self, entry: &Entry) -> ChangeOutcome {
        match self.change.unfit(entry.stage) {
            Some(why) => outcome(entry.id, ChangeResult::Unfit, why.to_owned()),
            None => outcome(
                entry.id,
                ChangeResult::WouldBeDone,
                format!("{} would be done", word(self.change)),
            ),
        }
    }
}

fn told(changes: Vec<(MessageId, Changed)>) -> Vec<ChangeOutcome> {
    let one = |(id, changed)| match changed {
        Changed::Done(text) => outcome(id, ChangeResult::Done, text),
        Changed::Busy => outcome(
            id,
            ChangeResult::Busy,
            "a connection or a sink has it just now; try again in a moment".to_owned(),
        ),
        Changed::Unfit(why) => outcome(id, ChangeResult::Unfit, why.to_owned()),
        Changed::Gone => outcome(
            id,
            ChangeResult::NotFound,
            "it is not in the queue".to_owned(),
        ),
        Changed::Failed(why) => outcome(id, ChangeResult::Failed, why),
    };
    changes.into_iter().map(one).collect()
}

fn outcome(id: MessageId, result: ChangeResult, text: String) -> ChangeOutcome {
    ChangeOutcome {
        id: id.to_string(),
        result: result.into(),
        text,
    }
}

fn change(asked: AskedChange) -> Result<Change, Status> {
    Ok(match asked {
        AskedChange::Hold => Change::Hold,
        AskedChange::Release => Change::Release,
        AskedChange::Retry => Change::Retry,
        AskedChange::Bounce => Change::Bounce,
        AskedChange::Remove => Change::Remove,
        AskedChange::Unspecified => {
            return Err(Status::invalid_argument(
                "no change is named that this version knows",
            ));
        }
    })
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Hold => "hold",
        Change::Release => "release",
        Change::Retry => "retry",
        Change::Bounce => "bounce",
        Change::Remove => "remove",
    }
}

/// The operator's name in the record.
fn by(user: u32) -> String {
    format!("uid {user}")
}
