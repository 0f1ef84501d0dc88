//! The attach protocol on a virtual clock: a link and a scripted sink, a fleet and scripted replicas.

mod asking;
mod breaking;

mod closing;
mod content;
mod fleet;
mod fleet_walk;
mod fuzz;
mod health;
mod model;
mod narrowing;
mod opening;
mod parts;
mod sdk;
mod silence;
mod sink;
mod stalls;
mod streams;
mod threads;
mod walk;
mod world;
