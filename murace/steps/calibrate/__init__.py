"""The step calibrate: designate a learner for each group by validation scores."""
