"""All that scoring knows of Faust, mode and aiokafka. All else hands over batches and awaits acknowledgements."""
