//! Which departments lie below and above one another. Departments in a circle, which no handler makes, are each met
//! once.

use super::state::DirectoryState;

/// How many departments may lie above one another.
const MAX_DEPTH: usize = 64;

impl DirectoryState {
    /// An open department and the open ones below it. Those below a closed one are reached all the same.
    pub(super) fn with_departments_below(&self, department_id: &str) -> Vec<&str> {
        let mut found: Vec<&str> =
            self.departments.get_key_value(department_id).map(|(id, _)| &**id).into_iter().collect();
        let mut looked_at = 0;
        while let Some(above) = found.get(looked_at).copied() {
            looked_at += 1;
            for (id, department) in self.departments.iter() {
                if department.parent_department_id.as_deref() == Some(above) && !found.contains(&&**id) {
                    found.push(id);
                }
            }
        }
        found.retain(|id| self.departments.get(*id).is_some_and(|department| !department.closed));
        found
    }

    /// A department and those above it, up to `top`, which is not among them.
    pub(super) fn departments_between<'a>(&'a self, department_id: &'a str, top: &str) -> Vec<&'a str> {
        let mut found = Vec::new();
        let mut next = Some(department_id);
        while let Some(id) = next.filter(|id| *id != top && !found.contains(id)) {
            found.push(id);
            next = self.departments.get(id).and_then(|department| department.parent_department_id.as_deref());
        }
        found
    }

    /// An open department and those above it; nothing for a closed or unknown one.
    pub(super) fn with_departments_above(&self, department_id: &str) -> Vec<&str> {
        let mut found = Vec::new();
        let mut next = self.departments.get_key_value(department_id).filter(|(_, department)| !department.closed);
        while let Some((id, department)) = next {
            if found.contains(&&**id) || found.len() >= MAX_DEPTH {
                break;
            }
            found.push(&**id);
            next = department.parent_department_id.as_deref().and_then(|above| self.departments.get_key_value(above));
        }
        found
    }
}
