//! Whether a profile contradicts itself.

use super::{Class, OperationProfile, Profile, Wire};

impl Profile {
    pub(super) fn check(&self) -> Result<(), String> {
        let patterns = [&self.habits.date, &self.habits.moment];
        if let Some(bad) = patterns.into_iter().find(|p| crate::convert::pattern_of(p).is_none()) {
            return Err(format!("{bad} is no date pattern"));
        }
        for (name, operation) in &self.operations {
            self.check_operation(name, operation)
                .map_err(|e| format!("{name}: {e}"))?;
        }
        Ok(())
    }

    fn check_operation(&self, name: &str, operation: &OperationProfile) -> Result<(), String> {
        if !records::his::METHODS.contains(&name) {
            return Err("no such operation".to_owned());
        }
        let endpoint = self
            .endpoints
            .get(&operation.via)
            .ok_or_else(|| format!("no endpoint {}", operation.via))?;
        match (&endpoint.wire, &operation.soap, &operation.hl7) {
            (Wire::Soap(_), Some(_), _) | (Wire::Mllp(_), _, Some(_)) => {}
            _ => return Err(format!("is not described for the wire of {}", operation.via)),
        }
        let writes = crate::operations::writes(name);
        if writes == (operation.class == Class::Read) {
            return Err("class does not fit: reads are `read`, writes are not".to_owned());
        }
        if operation.class == Class::QueryFirst && operation.settle.is_none() {
            return Err("is `query_first` but has no `settle`".to_owned());
        }
        if operation.verify && operation.settle.is_none() {
            return Err("is to be verified but has no `settle`".to_owned());
        }
        if let Some(settle) = &operation.settle
            && !self
                .endpoints
                .get(&settle.via)
                .is_some_and(|e| matches!(e.wire, Wire::Soap(_)))
        {
            return Err(format!("settles via {}, which is no SOAP endpoint", settle.via));
        }
        if let Some(then) = operation.hl7.as_ref().and_then(|h| h.then.as_ref())
            && !self.operations.contains_key(then)
        {
            return Err(format!("goes on with {then}, which is not described"));
        }
        let soap = operation
            .soap
            .iter()
            .flat_map(|s| s.request.values().chain(s.response.values()));
        let hl7 = operation.hl7.iter().flat_map(|h| h.response.values());
        let settle = operation
            .settle
            .iter()
            .flat_map(|s| s.request.values().chain(s.response.values()));
        let missing = soap
            .chain(hl7)
            .chain(settle)
            .flat_map(|r| r.maps())
            .find(|m| !self.codes.contains_key(*m));
        missing.map_or(Ok(()), |m| Err(format!("no code map {m}")))
    }
}
