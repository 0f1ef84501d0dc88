//! Runs that begin together: the RCPTs of a pipelined group. Those that a binding is asked about at once travel as one
//! group, so that what changed is told once and a sink may judge them together.

use std::sync::Arc;

use parking_lot::Mutex;
use postern_events::ruling::Ruling;

use crate::scope::Scope;

use super::Run;
use super::putting::put_all;

/// Runs that have not begun.
#[derive(Default)]
pub(crate) struct Gathering {
    places: Mutex<Vec<Arc<Place>>>,
}

/// The place of one run, while it waits to begin with others.
pub(crate) struct Place {
    run: Mutex<Option<Run>>,
}

impl Gathering {
    /// Puts a run among those that begin when the first of them is waited for.
    pub(crate) fn add(&self, run: Run) -> Arc<Place> {
        let place = Arc::new(Place {
            run: Mutex::new(Some(run)),
        });
        self.places.lock().push(Arc::clone(&place));
        place
    }

    /// Begins all that have gathered.
    pub(crate) fn begin(&self, scope: &Arc<Scope>) {
        let places = std::mem::take(&mut *self.places.lock());
        // Those whose futures were dropped are not asked.
        let mut begun: Vec<(Arc<Place>, Run)> = places
            .into_iter()
            .filter(|place| Arc::strong_count(place) > 1)
            .filter_map(|place| {
                let run = place.run.lock().take();
                run.map(|run| (place, run))
            })
            .collect();
        let mut due = Vec::new();
        let mut runs: Vec<&mut Run> = begun.iter_mut().map(|(_, run)| run).collect();
        for (number, run) in runs.iter_mut().enumerate() {
            let (asked, _) = run.advance();
            due.extend(asked.into_iter().map(|due| (number, due)));
        }
        put_all(scope, &mut runs, due, None);
        for (place, run) in begun {
            *place.run.lock() = Some(run);
        }
    }
}

impl Place {
    /// Waits for the ruling. `None`: it was waited for before.
    pub(crate) async fn ruling(self: Arc<Self>) -> Option<Ruling> {
        let run = self.run.lock().take()?;
        Some(run.ruling(None).await)
    }
}
