//! Who is in an organisation and what each may do, folded from its ledger.
