-- A part: the value that a span itself names, and the one that it names for its run: `by` is agent, feature, user or service.
multiIf(
    {by:String} = 'agent', toString(AgentName),
    {by:String} = 'feature', toString(Feature),
    {by:String} = 'service', toString(ServiceName),
    UserId) AS Named,
Named AS NamedForRun
