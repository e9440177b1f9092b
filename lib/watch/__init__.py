"""What tells people how the system is: alarms, the dashboard and questions to the logs."""
