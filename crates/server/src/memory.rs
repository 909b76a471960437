//! Memory that requests hold while callers take their time: what all of them may take together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{refusal::Refusal, tenant::Tenant};

/// The bytes of each request that are not counted: the number of connections bounds those already, and ordinary requests are served
/// when large ones have taken everything.
const UNCOUNTED: usize = 16 * 1024;

/// Memory that a server gives to one kind of data of its requests. One tenant has at most half of it, so that none can keep the
/// others out.
#[derive(Clone, Debug)]
pub(crate) struct MemoryBudget {
    limit: usize,
    taken: Arc<Mutex<Usage>>,
}

#[derive(Debug, Default)]
struct Usage {
    total: usize,
    by_tenant: HashMap<Tenant, usize>,
}

/// The part of it that one request has taken. Dropping it gives that back.
#[derive(Debug)]
pub(crate) struct MemoryShare {
    budget: MemoryBudget,
    tenant: Tenant,
    taken: usize,
}

impl MemoryBudget {
    pub(crate) fn new(bytes: u32) -> Self {
        Self { limit: bytes as usize, taken: Arc::default() }
    }

    pub(crate) fn share(&self, tenant: Tenant) -> MemoryShare {
        MemoryShare { budget: self.clone(), tenant, taken: 0 }
    }

    fn taken(&self) -> MutexGuard<'_, Usage> {
        // Nothing that holds it panics.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryShare {
    /// Takes what is needed for so many bytes, or refuses when others have taken too much.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
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

    /// Gives back what is not needed for so many bytes.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let less = self.taken.saturating_sub(bytes.saturating_sub(UNCOUNTED));
        if less == 0 {
            return;
        }
        self.taken -= less;
        let mut taken = self.budget.taken();
        taken.total -= less;
        if let Some(of_tenant) = taken.by_tenant.get_mut(&self.tenant) {
            *of_tenant -= less;
            if *of_tenant == 0 {
                taken.by_tenant.remove(&self.tenant);
            }
        }
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).unwrap()
    }

    fn is_refused(share: &mut MemoryShare, counted: usize) -> bool {
        share.hold(UNCOUNTED + counted).is_err()
    }

    #[test]
    fn a_share_grows_until_nothing_is_left_and_is_given_back() {
        let budget = MemoryBudget::new(1000);
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
        let budget = MemoryBudget::new(1000);
        let (mut first, mut second) = (budget.share(tenant("a")), budget.share(tenant("a")));
        assert!(is_refused(&mut first, 501));
        assert!(!is_refused(&mut first, 300));
        assert!(is_refused(&mut second, 201));
        assert!(!is_refused(&mut second, 200));
        drop(first);
        assert!(!is_refused(&mut second, 500));
    }

    #[test]
    fn a_share_that_shrinks_makes_room() {
        let budget = MemoryBudget::new(1000);
        let (mut first, mut second) = (budget.share(tenant("a")), budget.share(tenant("a")));
        assert!(!is_refused(&mut first, 500));
        first.shrink_to(UNCOUNTED + 200);
        assert!(is_refused(&mut second, 301));
        assert!(!is_refused(&mut second, 300));
        first.shrink_to(UNCOUNTED + 400);
        first.shrink_to(0);
        assert!(!is_refused(&mut second, 500));
        drop((first, second));
        assert!(budget.taken().by_tenant.is_empty() && budget.taken().total == 0);
    }
}
