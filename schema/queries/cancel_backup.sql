KILL QUERY WHERE query_id = (SELECT query_id FROM system.backups WHERE id = {id:String}) SYNC
