//! JSON bodies, which are held in memory: what all of them in flight may take together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{refusal::Refusal, tenant::Tenant};

/// The beginning of each body that is not counted: the number of connections bounds that already, and ordinary requests, of some
/// hundred bytes, are served when large ones have taken everything.
const UNCOUNTED: usize = 16 * 1024;

/// The memory that a server gives to the JSON bodies that it is reading or acting on. One tenant has at most half of it, so
/// that none can keep the others out.
#[derive(Clone, Debug)]
pub(crate) struct JsonBudget {
    limit: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_tenant: HashMap<Tenant, usize>,
}

/// The part of it that one request has taken, until it is answered.
#[derive(Debug)]
pub(super) struct JsonShare {
    budget: JsonBudget,
    tenant: Tenant,
    taken: usize,
}

impl JsonBudget {
    pub(crate) fn new(bytes: u32) -> Self {
        Self { limit: bytes as usize, taken: Arc::default() }
    }

    pub(super) fn share(&self, tenant: Tenant) -> JsonShare {
        JsonShare { budget: self.clone(), tenant, taken: 0 }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing that holds it panics.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JsonShare {
    /// Takes what is needed for so many bytes, or refuses when others have taken too much.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        let more = bytes.saturating_sub(UNCOUNTED).saturating_sub(self.taken);
        if more == 0 {
            return Ok(());
        }
        let limit = self.budget.limit;
        let mut taken = self.budget.taken();
        let total = taken.total.saturating_add(more);
        let of_tenant = taken.by_tenant.get(&self.tenant).map_or(more, |taken| taken.saturating_add(more));
        if total > limit || of_tenant > limit / 2 {
            return Err(Refusal::Busy);
        }
        taken.total = total;
        taken.by_tenant.insert(self.tenant.clone(), of_tenant);
        self.taken += more;
        Ok(())
    }
}

impl Drop for JsonShare {
    fn drop(&mut self) {
        if self.taken == 0 {
            return;
        }
        let mut taken = self.budget.taken();
        taken.total -= self.taken;
        if let Some(of_tenant) = taken.by_tenant.get_mut(&self.tenant) {
            *of_tenant -= self.taken;
            if *of_tenant == 0 {
                taken.by_tenant.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).unwrap()
    }

    fn is_refused(share: &mut JsonShare, counted: usize) -> bool {
        share.hold(UNCOUNTED + counted).is_err()
    }

    #[test]
    fn a_share_grows_until_nothing_is_left_and_is_given_back() {
        let budget = JsonBudget::new(1000);
        let [mut first, mut second, mut third] = ["a", "b", "c"].map(|name| budget.share(tenant(name)));
        assert!(!is_refused(&mut first, 300));
        assert!(!is_refused(&mut first, 500));
        assert!(!is_refused(&mut first, 100));
        assert!(!is_refused(&mut second, 400));
        assert!(is_refused(&mut third, 101));
        assert!(!is_refused(&mut third, 100));
        third.hold(UNCOUNTED).unwrap();
        drop(first);
        assert!(!is_refused(&mut third, 500));
        drop((second, third));
        assert!(budget.taken().by_tenant.is_empty() && budget.taken().total == 0);
    }

    #[test]
    fn a_tenant_has_at_most_half() {
        let budget = JsonBudget::new(1000);
        let (mut first, mut second) = (budget.share(tenant("a")), budget.share(tenant("a")));
        assert!(is_refused(&mut first, 501));
        assert!(!is_refused(&mut first, 300));
        assert!(is_refused(&mut second, 201));
        assert!(!is_refused(&mut second, 200));
        drop(first);
        assert!(!is_refused(&mut second, 500));
    }
}
