use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// A number of places, given out in the order of the requests, until the gate closes.
///
/// It wakes by [`Waker`]s, so it works in every runtime. A dropped wait leaves nothing.
pub(crate) struct Gate(Mutex<State>);

struct State {
    total: usize,
    free: usize,
    is_closed: bool,
    /// The next ticket.
    next: u64,
    /// Those who wait for a place, in the order of their tickets.
    queue: BTreeMap<u64, Waker>,
    /// Those who wait for the gate to close, or for the last place to be free.
    watchers: BTreeMap<u64, Waker>,
}

/// One place. It is free again when this is dropped.
pub(crate) struct Place<'g>(&'g Gate);

/// Takes a wait out of its list when it ends.
struct Ticket<'g> {
    gate: &'g Gate,
    number: u64,
}

impl Gate {
    /// A gate with this many places, at least one.
    pub(crate) fn new(places: usize) -> Self {
        let total = places.max(1);
        Self(Mutex::new(State {
            total,
            free: total,
            is_closed: false,
            next: 0,
            queue: BTreeMap::new(),
            watchers: BTreeMap::new(),
        }))
    }

    /// No code panics while it holds the lock, so the state is whole even if the lock is poisoned.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ticket(&self) -> Ticket<'_> {
        let mut state = self.state();
        state.next += 1;
        Ticket { gate: self, number: state.next }
    }

    /// Waits for a place. `None` if the gate is closed.
    pub(crate) async fn enter(&self) -> Option<Place<'_>> {
        let ticket = self.ticket();
        poll_fn(|cx| {
            let mut state = self.state();
            if state.is_closed {
                return Poll::Ready(None);
            }
            let is_first = state.queue.keys().next().is_none_or(|first| *first >= ticket.number);
            if is_first && state.free > 0 {
                state.free -= 1;
                state.queue.remove(&ticket.number);
                return Poll::Ready(Some(Place(self)));
            }
            state.queue.insert(ticket.number, cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Waits until the gate is closed.
    pub(crate) async fn closed(&self) {
        self.watch(|state| state.is_closed).await;
    }

    /// Waits until every place is free.
    pub(crate) async fn emptied(&self) {
        self.watch(|state| state.free == state.total).await;
    }

    async fn watch(&self, is_so: impl Fn(&State) -> bool) {
        let ticket = self.ticket();
        poll_fn(|cx| {
            let mut state = self.state();
            if is_so(&state) {
                return Poll::Ready(());
            }
            state.watchers.insert(ticket.number, cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Gives out no further place.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.queue.values().chain(state.watchers.values()).for_each(Waker::wake_by_ref);
    }

    /// Whether the gate is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().is_closed
    }
}

impl State {
    fn wake(&self) {
        if self.free > 0
            && let Some(first) = self.queue.values().next()
        {
            first.wake_by_ref();
        }
        if self.free == self.total {
            self.watchers.values().for_each(Waker::wake_by_ref);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.free += 1;
        state.wake();
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.watchers.remove(&self.number);
        // It may have been woken for a free place, which the next one then gets. After it has entered, there
        // may be more free places.
        state.queue.remove(&self.number);
        state.wake();
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Gate")
            .field("total", &state.total)
            .field("free", &state.free)
            .field("is_closed", &state.is_closed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll<T>(future: Pin<&mut impl Future<Output = T>>, count: &Arc<Count>) -> Poll<T> {
        future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(count))))
    }

    fn woken(count: &Arc<Count>) -> usize {
        count.0.swap(0, Ordering::Relaxed)
    }

    #[test]
    fn places_are_given_in_order() {
        let gate = Gate::new(1);
        let [one, two, three] = [(); 3].map(|()| Arc::<Count>::default());
        let (mut first, mut second) = (pin!(gate.enter()), pin!(gate.enter()));
        let mut third = Box::pin(gate.enter());
        let Poll::Ready(Some(place)) = poll(first.as_mut(), &one) else { panic!("a free place") };
        assert!(poll(third.as_mut(), &three).is_pending());
        assert!(poll(second.as_mut(), &two).is_pending());
        drop(place);
        assert_eq!((woken(&two), woken(&three)), (0, 1), "the third one asked first");
        assert!(poll(second.as_mut(), &two).is_pending(), "it is not its turn");
        // The one that was woken gives up: the next one is woken in its place.
        drop(third);
        assert_eq!(woken(&two), 1);
        let Poll::Ready(Some(_place)) = poll(second.as_mut(), &two) else { panic!("its turn") };
    }

    #[test]
    fn a_closed_gate_wakes_everyone_and_empties() {
        let gate = Gate::new(2);
        let [one, two, three] = [(); 3].map(|()| Arc::<Count>::default());
        let mut places: Vec<_> = (0..2)
            .map(|_| match poll(pin!(gate.enter()), &one) {
                Poll::Ready(Some(place)) => place,
                _ => panic!("a free place"),
            })
            .collect();
        let (mut waiting, mut closed) = (pin!(gate.enter()), pin!(gate.closed()));
        let mut emptied = pin!(gate.emptied());
        assert!(poll(waiting.as_mut(), &one).is_pending());
        assert!(poll(closed.as_mut(), &two).is_pending());
        assert!(poll(emptied.as_mut(), &three).is_pending());
        gate.close();
        assert!(gate.is_closed());
        assert_eq!((woken(&one), woken(&two)), (1, 1));
        assert!(matches!(poll(waiting.as_mut(), &one), Poll::Ready(None)));
        assert!(poll(closed.as_mut(), &two).is_ready());
        woken(&three);
        places.pop();
        assert!(poll(emptied.as_mut(), &three).is_pending());
        places.pop();
        assert_eq!(woken(&three), 1);
        assert!(poll(emptied.as_mut(), &three).is_ready());
        let state = gate.state();
        assert_eq!((state.queue.len(), state.free), (0, 2));
    }

    #[test]
    fn a_dropped_wait_leaves_nothing() {
        let gate = Gate::new(1);
        let count = Arc::<Count>::default();
        {
            let mut closed = pin!(gate.closed());
            assert!(poll(closed.as_mut(), &count).is_pending());
            assert_eq!(gate.state().watchers.len(), 1);
        }
        assert_eq!(gate.state().watchers.len(), 0);
    }
}
