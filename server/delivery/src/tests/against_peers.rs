//! Connections to peers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use postern_smtp::client::{Body, ClientName, Config, Delivery, Protocol, Recipient, Transaction};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio_rustls::TlsAcceptor;
