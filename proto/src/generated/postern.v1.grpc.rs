// @generated
/// Generated client implementations.
pub mod event_sink_client {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    use tonic::codegen::http::Uri;
    /// A sink is asked about events and answers with verdicts. The gateway is the gRPC client.
    ///
    /// A conversation:
    ///
    /// 1. The gateway calls Attach and speaks first: it sends `Open` and the instance's first `Event` together, before
    ///   any response header has arrived.
    ///
    /// 1. The sink may send `Ready` to narrow what it wants. It does not have to.
    ///
    /// 1. Every `Event` that has a deadline gets exactly one `Verdict` or one `Fault` naming its event_id, unless it is
    ///   cancelled first. Events without a deadline get none. An instance may have several events open at a time
    ///   (pipelined RCPTs); they may be answered in any order.
    ///
    /// 1. Where the binding shows content, `Content` frames follow the event: in order, at most Limits.chunk_bytes each, `ended` on the
    ///   last. The sink may answer before the end; a refusal then stops the client's upload. After the answer no more
    ///   content of the event is sent, and no `ended`; frames that were under way are to be ignored.
    ///
    /// 1. `Cancel` says that nobody is waiting any more. `Progress` asks for more time. `Settled` tells a sink that wants to
    ///   know what became of its verdict.
    ///
    /// 1. The gateway ends an instance with `Close`, at a moment when it has no open event and no unanswered action (`Close`
    ///   names the exceptions). It may open it again later, on any replica, under another number, with a fresh snapshot
    ///   and with the running transaction's events told again, marked `replayed`. Earlier events of the session are not
    ///   told again: what a sink must remember of them it keeps as a property.
    ///
    /// 1. A stream carries as many instances at a time as DescribeResponse allows. With one, the next `Open` follows
    ///   `Close`. The gateway half-closes a stream that it no longer needs; the sink then ends it.
    ///
    ///   gateway                              sink
    ///   \| Open 7, Event 7/1 (connect) ----> |
    ///   \| \<---------------- Verdict 7/1     |
    ///   \| Event 7/2 (rcpt), 7/3 (rcpt) ---> |
    ///   \| \<------- Verdict 7/3, Verdict 7/2 |
    ///   \| Event 7/4 (message), Content ---> |
    ///   \| Content, Content ended ---------> |
    ///   \| \<---------------- Verdict 7/4     |
    ///   \| Close 7 ------------------------> |
    ///
    /// Order: frames of one instance keep their order; there is none between instances.
    ///
    /// Size: no frame exceeds 1 MiB. A longer event, snapshot or verdict is sent in parts (`event_part`, `snapshot_part`,
    /// `verdict_part`). A part is a message of the same type in which, beside event_id, only repeated fields are set, at any
    /// depth, reached through singular fields. The receiver merges parts and final frame in order of arrival: that is MergeFrom of the
    /// protobuf libraries, or, where there is none, decoding the encodings put one behind the other. Nothing in a part counts
    /// before the final frame: an event is asked, and its deadline runs, from there. An event that the gateway began to send
    /// in parts it also ends, before any Cancel or Close. Parts travel only where the feature "parts" is in force; elsewhere
    /// an event that does not fit in one frame, with the Open that it needs, fails by itself, and nothing else with it.
    ///
    /// Unknown frames: an arm that the receiver does not know arrives as an unset `kind`. A sink ignores it. To the gateway
    /// it is the sink's failure, so a sink sends a newer arm only if `Open` lists its feature. An event whose own `kind` is
    /// unset is one that the sink does not know: if it has a deadline, answer Fault with FAULT_KIND_UNKNOWN_EVENT.
    ///
    /// The end: a stream that ends while an event is open is a failure, never consent.
    ///
    /// Which decision, edit, answer and failure policy an event allows, and which grant each needs, is data: rules.json,
    /// next to these files. It also says which events and features a gateway of this version has.
    #[derive(Debug, Clone)]
    pub struct EventSinkClient<T> {
        inner: tonic::client::Grpc<T>,
    }
    impl<T> EventSinkClient<T>
    where
        T: tonic::client::GrpcService<tonic::body::Body>,
        T::Error: Into<StdError>,
        T::ResponseBody: Body<Data = Bytes> + std::marker::Send + 'static,
        <T::ResponseBody as Body>::Error: Into<StdError> + std::marker::Send,
    {
        pub fn new(inner: T) -> Self {
            let inner = tonic::client::Grpc::new(inner);
            Self { inner }
        }
        pub fn with_origin(inner: T, origin: Uri) -> Self {
            let inner = tonic::client::Grpc::with_origin(inner, origin);
            Self { inner }
        }
        pub fn with_interceptor<F>(
            inner: T,
            interceptor: F,
        ) -> EventSinkClient<InterceptedService<T, F>>
        where
            F: tonic::service::Interceptor,
            T::ResponseBody: Default,
            T: tonic::codegen::Service<
                http::Request<tonic::body::Body>,
                Response = http::Response<
                    <T as tonic::client::GrpcService<tonic::body::Body>>::ResponseBody,
                >,
            >,
            <T as tonic::codegen::Service<
                http::Request<tonic::body::Body>,
            >>::Error: Into<StdError> + std::marker::Send + std::marker::Sync,
        {
            EventSinkClient::new(InterceptedService::new(inner, interceptor))
        }
        /// Compress requests with the given encoding.
        ///
        /// This requires the server to support it otherwise it might respond with an
        /// error.
        #[must_use]
        pub fn send_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.inner = self.inner.send_compressed(encoding);
            self
        }
        /// Enable decompressing responses.
        #[must_use]
        pub fn accept_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.inner = self.inner.accept_compressed(encoding);
            self
        }
        /// Limits the maximum size of a decoded message.
        ///
        /// Default: `4MB`
        #[must_use]
        pub fn max_decoding_message_size(mut self, limit: usize) -> Self {
            self.inner = self.inner.max_decoding_message_size(limit);
            self
        }
        /// Limits the maximum size of an encoded message.
        ///
        /// Default: `usize::MAX`
        #[must_use]
        pub fn max_encoding_message_size(mut self, limit: usize) -> Self {
            self.inner = self.inner.max_encoding_message_size(limit);
            self
        }
        /// Asks who the sink is and what it wants. The gateway asks on every new connection, and `postern check` asks too.
        /// The answer must be cheap and have no side effects.
        pub async fn describe(
            &mut self,
            request: impl tonic::IntoRequest<super::DescribeRequest>,
        ) -> std::result::Result<
            tonic::Response<super::DescribeResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/postern.v1.EventSink/Describe",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("postern.v1.EventSink", "Describe"));
            self.inner.unary(req, path, codec).await
        }
        /// A stream of instances.
        pub async fn attach(
            &mut self,
            request: impl tonic::IntoStreamingRequest<Message = super::AttachRequest>,
        ) -> std::result::Result<
            tonic::Response<tonic::codec::Streaming<super::AttachResponse>>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/postern.v1.EventSink/Attach",
            );
            let mut req = request.into_streaming_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("postern.v1.EventSink", "Attach"));
            self.inner.streaming(req, path, codec).await
        }
    }
}
/// Generated server implementations.
pub mod event_sink_server {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    /// Generated trait containing gRPC methods that should be implemented for use with EventSinkServer.
    #[async_trait]
    pub trait EventSink: std::marker::Send + std::marker::Sync + 'static {
        /// Asks who the sink is and what it wants. The gateway asks on every new connection, and `postern check` asks too.
        /// The answer must be cheap and have no side effects.
        async fn describe(
            &self,
            request: tonic::Request<super::DescribeRequest>,
        ) -> std::result::Result<
            tonic::Response<super::DescribeResponse>,
            tonic::Status,
        >;
        /// Server streaming response type for the Attach method.
        type AttachStream: tonic::codegen::tokio_stream::Stream<
                Item = std::result::Result<super::AttachResponse, tonic::Status>,
            >
            + std::marker::Send
            + 'static;
        /// A stream of instances.
        async fn attach(
            &self,
            request: tonic::Request<tonic::Streaming<super::AttachRequest>>,
        ) -> std::result::Result<tonic::Response<Self::AttachStream>, tonic::Status>;
    }
    /// A sink is asked about events and answers with verdicts. The gateway is the gRPC client.
    ///
    /// A conversation:
    ///
    /// 1. The gateway calls Attach and speaks first: it sends `Open` and the instance's first `Event` together, before
    ///   any response header has arrived.
    ///
    /// 1. The sink may send `Ready` to narrow what it wants. It does not have to.
    ///
    /// 1. Every `Event` that has a deadline gets exactly one `Verdict` or one `Fault` naming its event_id, unless it is
    ///   cancelled first. Events without a deadline get none. An instance may have several events open at a time
    ///   (pipelined RCPTs); they may be answered in any order.
    ///
    /// 1. Where the binding shows content, `Content` frames follow the event: in order, at most Limits.chunk_bytes each, `ended` on the
    ///   last. The sink may answer before the end; a refusal then stops the client's upload. After the answer no more
    ///   content of the event is sent, and no `ended`; frames that were under way are to be ignored.
    ///
    /// 1. `Cancel` says that nobody is waiting any more. `Progress` asks for more time. `Settled` tells a sink that wants to
    ///   know what became of its verdict.
    ///
    /// 1. The gateway ends an instance with `Close`, at a moment when it has no open event and no unanswered action (`Close`
    ///   names the exceptions). It may open it again later, on any replica, under another number, with a fresh snapshot
    ///   and with the running transaction's events told again, marked `replayed`. Earlier events of the session are not
    ///   told again: what a sink must remember of them it keeps as a property.
    ///
    /// 1. A stream carries as many instances at a time as DescribeResponse allows. With one, the next `Open` follows
    ///   `Close`. The gateway half-closes a stream that it no longer needs; the sink then ends it.
    ///
    ///   gateway                              sink
    ///   \| Open 7, Event 7/1 (connect) ----> |
    ///   \| \<---------------- Verdict 7/1     |
    ///   \| Event 7/2 (rcpt), 7/3 (rcpt) ---> |
    ///   \| \<------- Verdict 7/3, Verdict 7/2 |
    ///   \| Event 7/4 (message), Content ---> |
    ///   \| Content, Content ended ---------> |
    ///   \| \<---------------- Verdict 7/4     |
    ///   \| Close 7 ------------------------> |
    ///
    /// Order: frames of one instance keep their order; there is none between instances.
    ///
    /// Size: no frame exceeds 1 MiB. A longer event, snapshot or verdict is sent in parts (`event_part`, `snapshot_part`,
    /// `verdict_part`). A part is a message of the same type in which, beside event_id, only repeated fields are set, at any
    /// depth, reached through singular fields. The receiver merges parts and final frame in order of arrival: that is MergeFrom of the
    /// protobuf libraries, or, where there is none, decoding the encodings put one behind the other. Nothing in a part counts
    /// before the final frame: an event is asked, and its deadline runs, from there. An event that the gateway began to send
    /// in parts it also ends, before any Cancel or Close. Parts travel only where the feature "parts" is in force; elsewhere
    /// an event that does not fit in one frame, with the Open that it needs, fails by itself, and nothing else with it.
    ///
    /// Unknown frames: an arm that the receiver does not know arrives as an unset `kind`. A sink ignores it. To the gateway
    /// it is the sink's failure, so a sink sends a newer arm only if `Open` lists its feature. An event whose own `kind` is
    /// unset is one that the sink does not know: if it has a deadline, answer Fault with FAULT_KIND_UNKNOWN_EVENT.
    ///
    /// The end: a stream that ends while an event is open is a failure, never consent.
    ///
    /// Which decision, edit, answer and failure policy an event allows, and which grant each needs, is data: rules.json,
    /// next to these files. It also says which events and features a gateway of this version has.
    #[derive(Debug)]
    pub struct EventSinkServer<T> {
        inner: Arc<T>,
        accept_compression_encodings: EnabledCompressionEncodings,
        send_compression_encodings: EnabledCompressionEncodings,
        max_decoding_message_size: Option<usize>,
        max_encoding_message_size: Option<usize>,
    }
    impl<T> EventSinkServer<T> {
        pub fn new(inner: T) -> Self {
            Self::from_arc(Arc::new(inner))
        }
        pub fn from_arc(inner: Arc<T>) -> Self {
            Self {
                inner,
                accept_compression_encodings: Default::default(),
                send_compression_encodings: Default::default(),
                max_decoding_message_size: None,
                max_encoding_message_size: None,
            }
        }
        pub fn with_interceptor<F>(
            inner: T,
            interceptor: F,
        ) -> InterceptedService<Self, F>
        where
            F: tonic::service::Interceptor,
        {
            InterceptedService::new(Self::new(inner), interceptor)
        }
        /// Enable decompressing requests with the given encoding.
        #[must_use]
        pub fn accept_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.accept_compression_encodings.enable(encoding);
            self
        }
        /// Compress responses with the given encoding, if the client supports it.
        #[must_use]
        pub fn send_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.send_compression_encodings.enable(encoding);
            self
        }
        /// Limits the maximum size of a decoded message.
        ///
        /// Default: `4MB`
        #[must_use]
        pub fn max_decoding_message_size(mut self, limit: usize) -> Self {
            self.max_decoding_message_size = Some(limit);
            self
        }
        /// Limits the maximum size of an encoded message.
        ///
        /// Default: `usize::MAX`
        #[must_use]
        pub fn max_encoding_message_size(mut self, limit: usize) -> Self {
            self.max_encoding_message_size = Some(limit);
            self
        }
    }
    impl<T, B> tonic::codegen::Service<http::Request<B>> for EventSinkServer<T>
    where
        T: EventSink,
        B: Body + std::marker::Send + 'static,
        B::Error: Into<StdError> + std::marker::Send + 'static,
    {
        type Response = http::Response<tonic::body::Body>;
        type Error = std::convert::Infallible;
        type Future = BoxFuture<Self::Response, Self::Error>;
        fn poll_ready(
            &mut self,
            _cx: &mut Context<'_>,
        ) -> Poll<std::result::Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, req: http::Request<B>) -> Self::Future {
            match req.uri().path() {
                "/postern.v1.EventSink/Describe" => {
                    #[allow(non_camel_case_types)]
                    struct DescribeSvc<T: EventSink>(pub Arc<T>);
                    impl<
                        T: EventSink,
                    > tonic::server::UnaryService<super::DescribeRequest>
                    for DescribeSvc<T> {
                        type Response = super::DescribeResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::DescribeRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as EventSink>::describe(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = DescribeSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/postern.v1.EventSink/Attach" => {
                    #[allow(non_camel_case_types)]
                    struct AttachSvc<T: EventSink>(pub Arc<T>);
                    impl<
                        T: EventSink,
                    > tonic::server::StreamingService<super::AttachRequest>
                    for AttachSvc<T> {
                        type Response = super::AttachResponse;
                        type ResponseStream = T::AttachStream;
                        type Future = BoxFuture<
                            tonic::Response<Self::ResponseStream>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<
                                tonic::Streaming<super::AttachRequest>,
                            >,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as EventSink>::attach(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = AttachSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.streaming(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                _ => {
                    Box::pin(async move {
                        let mut response = http::Response::new(
                            tonic::body::Body::default(),
                        );
                        let headers = response.headers_mut();
                        headers
                            .insert(
                                tonic::Status::GRPC_STATUS,
                                (tonic::Code::Unimplemented as i32).into(),
                            );
                        headers
                            .insert(
                                http::header::CONTENT_TYPE,
                                tonic::metadata::GRPC_CONTENT_TYPE,
                            );
                        Ok(response)
                    })
                }
            }
        }
    }
    impl<T> Clone for EventSinkServer<T> {
        fn clone(&self) -> Self {
            let inner = self.inner.clone();
            Self {
                inner,
                accept_compression_encodings: self.accept_compression_encodings,
                send_compression_encodings: self.send_compression_encodings,
                max_decoding_message_size: self.max_decoding_message_size,
                max_encoding_message_size: self.max_encoding_message_size,
            }
        }
    }
    /// Generated gRPC service name
    pub const SERVICE_NAME: &str = "postern.v1.EventSink";
    impl<T> tonic::server::NamedService for EventSinkServer<T> {
        const NAME: &'static str = SERVICE_NAME;
    }
}
