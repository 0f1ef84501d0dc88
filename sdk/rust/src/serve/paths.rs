//! The services of a sink's server, by their paths.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic_health::pb::health_server::{Health, HealthServer};
use tower_service::Service;

use crate::SinkService;
use crate::v1::event_sink_server::EventSinkServer;

/// Sends each request to the service that it names.
pub(super) struct Paths<H> {
    pub(super) sink: EventSinkServer<SinkService>,
    pub(super) health: HealthServer<H>,
    #[cfg(feature = "reflection")]
    pub(super) reflection: Reflection,
}

impl<H> Clone for Paths<H> {
    fn clone(&self) -> Self {
        Self {
            sink: self.sink.clone(),
            health: self.health.clone(),
            #[cfg(feature = "reflection")]
            reflection: self.reflection.clone(),
        }
    }
}

#[cfg(feature = "reflection")]
pub(super) use reflection::{Reflection, reflection};

#[cfg(feature = "reflection")]
mod reflection {
    use tonic_reflection::server::Builder;
    use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

    use super::*;
    use crate::ServeError;

    type Answer = Result<Response<Body>, Infallible>;

    /// The reflection service, whose own type has no name.
    #[derive(Clone)]
    pub(in crate::serve) struct Reflection(Box<dyn Reflecting>);

    trait Reflecting: Send + Sync {
        fn answer(&mut self, request: Request<Body>) -> BoxFuture<'static, Answer>;
        fn boxed(&self) -> Box<dyn Reflecting>;
    }

    impl Clone for Box<dyn Reflecting> {
        fn clone(&self) -> Self {
            (**self).boxed()
        }
    }

    impl<T: ServerReflection> Reflecting for ServerReflectionServer<T> {
        fn answer(&mut self, request: Request<Body>) -> BoxFuture<'static, Answer> {
            self.call(request)
        }

        fn boxed(&self) -> Box<dyn Reflecting> {
            Box::new(self.clone())
        }
    }

    impl Reflection {
        pub(super) fn call(&mut self, request: Request<Body>) -> BoxFuture<'static, Answer> {
            self.0.answer(request)
        }
    }

    pub(in crate::serve) fn reflection() -> Result<Reflection, ServeError> {
        let service = Builder::configure()
            .register_encoded_file_descriptor_set(postern_proto::FILE_DESCRIPTOR_SET)
            .build_v1()
            .map_err(|error| ServeError::Reflection(error.to_string()))?;
        Ok(Reflection(Box::new(service)))
    }
}

impl<H: Health> Service<Request<Body>> for Paths<H> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = request.uri().path().split('/').nth(1);
        match service {
            Some("postern.v1.EventSink") => self.sink.call(request),
            Some("grpc.health.v1.Health") => self.health.call(request),
            #[cfg(feature = "reflection")]
            Some("grpc.reflection.v1.ServerReflection") => self.reflection.call(request),
            _ => Box::pin(async { Ok(Status::unimplemented("no such service").into_http()) }),
        }
    }
}
